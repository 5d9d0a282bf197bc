"""One trace from the message to each source, and figures for operators."""

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import REGISTRY

from mesh.errors import Overloaded
from sensus.explainer.v1 import explainer_service_pb2 as pb
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import Detector, Ingest, OllamaServer, alert, anomaly
from tests.explainer.test_consumer import until, until_cursor, working

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-00"


def of_trace(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """The spans of TRACE by name."""
    found = spans.get_finished_spans()
    return {s.name: s for s in found if f"{s.context.trace_id:032x}" == TRACE and s.context}


def parents(spans: InMemorySpanExporter) -> dict[str, str]:
    """The name of each span's parent, "" outside this process."""
    named = of_trace(spans)
    by_id = {span.context.span_id: span.name for span in named.values() if span.context}
    return {
        name: by_id.get(span.parent.span_id, "") if span.parent else "-"
        for name, span in named.items()
    }


async def test_alert_carries_its_trace_through_every_stage_and_source(
    explainer: Running, ingest: Ingest, spans: InMemorySpanExporter
) -> None:
    """The parent was not sampled: alerts are kept nevertheless."""
    ingest.alerts["a1"] = alert("a1", traceparent=PARENT)
    async with working(explainer, "alerts"):
        ingest.deliver(alert("a1", traceparent=PARENT), "d1")
        await until(lambda: ingest.acked == ["d1"])
    listed = await explainer.stub.ListExplanations(pb.ListExplanationsRequest())
    assert listed.explanations[0].trace_id == TRACE
    tree = parents(spans)
    assert tree["process alert"] == ""
    assert tree["explain"] == "process alert"
    assert {name for name, parent in tree.items() if parent == "explain"} == {
        "gathering",
        "ranking",
        "wording",
        "checking",
    }
    assert {name for name, parent in tree.items() if parent == "gathering"} == {
        "find series of the subject",
        "find anomalies nearby",
        "find alerts nearby",
        "find series that moved",
        "find changes nearby",
        "find calls between services",
        "find past incidents",
        "find exemplars",
    }
    assert of_trace(spans)["process alert"].kind is SpanKind.CONSUMER
    assert not [s for s in of_trace(spans).values() if s.status.status_code is StatusCode.ERROR]


async def test_source_that_fails_is_an_error_in_the_trace(
    explainer: Running, ingest: Ingest, spans: InMemorySpanExporter
) -> None:
    ingest.alerts["a1"] = alert("a1", traceparent=PARENT)
    ingest.faults.errors["ListAlerts"] = Overloaded("no", reason="QUOTA")
    await explainer.explain()
    failed = of_trace(spans)["find alerts nearby"]
    assert failed.status.status_code is StatusCode.ERROR


async def test_explain_call_joins_the_trace_of_its_subject(
    explainer: Running, ingest: Ingest, spans: InMemorySpanExporter
) -> None:
    ingest.alerts["a1"] = alert("a1", traceparent=PARENT)
    assert (await explainer.result()).trace_id == TRACE


async def test_anomaly_carries_its_trace(
    explainer: Running, detector: Detector, spans: InMemorySpanExporter
) -> None:
    found = anomaly("n1", cursor=1)
    found.traceparent = PARENT
    async with working(explainer, "anomalies"):
        detector.announce(found)
        await until_cursor(explainer, 1)
    tree = parents(spans)
    assert (tree["process anomaly"], tree["explain"]) == ("", "process anomaly")


async def test_call_of_the_language_model_is_a_span(
    start: Start, ingest: Ingest, spans: InMemorySpanExporter
) -> None:
    ingest.alerts["a1"] = alert("a1", traceparent=PARENT)
    async with OllamaServer(status=500).serve() as provider:
        await (await start(llm_providers=(provider,))).explain()
    asked = of_trace(spans)["ask language model"]
    assert parents(spans)["ask language model"] == "wording"
    assert asked.status.status_code is StatusCode.ERROR
    assert (asked.attributes or {})["gen_ai.request.model"] == "llama3.2"


def counted(name: str, **labels: str) -> float:
    """A sample of the process's metrics, 0 before the first."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_explanations_evidence_and_failures_are_counted(start: Start, ingest: Ingest) -> None:
    def now() -> list[float]:
        return [
            counted("sensus_explanations_total", verdict="explained", provider="template"),
            counted("sensus_explanation_duration_seconds_count", provider="template"),
            counted("sensus_explanation_evidence_total", kind="subject_series"),
            counted(
                "sensus_llm_failures_total", provider="ollama", reason="its server failed (500)"
            ),
            counted("sensus_explanation_stage_duration_seconds_count", stage="gathering"),
        ]

    before = now()
    async with OllamaServer(status=500).serve() as provider:
        await (await start(llm_providers=(provider,))).explain()
    await until(lambda: counted("sensus_explanations_running") == 0.0)
    await until(lambda: [b - a for a, b in zip(before, now(), strict=True)] == [1.0] * 5)
