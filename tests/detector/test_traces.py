"""One trace leads from the batch through the anomaly to what is made of it."""

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, format_span_id, format_trace_id

from mesh.telemetry import span, traceparent
from services.detector.shards.announce import announced
from tests.detector.anomaly_log import a_finding
from tests.detector.running import RunningDetector
from tests.detector.scripted_ingest import ScriptedIngest
from tests.detector.signals import TRACEPARENT, deliveries, samples

OTHER = "00-11111111111111111111111111111111-2222222222222222-01"
TRACE_ID = TRACEPARENT[3:35]


@pytest.mark.usefixtures("active_model")
async def test_anomaly_goes_on_with_the_trace_of_its_batch(
    detector: RunningDetector, ingest: ScriptedIngest, spans: InMemorySpanExporter
) -> None:
    await ingest.write(*deliveries(0, samples(), 1000))
    await detector.start()
    await ingest.until_acked()
    anomalies = await detector.anomalies()
    announced = [each for each in spans.get_finished_spans() if each.name == "announce anomaly"]
    assert {anomaly.traceparent for anomaly in anomalies} == {
        f"00-{format_trace_id(each.context.trace_id)}-{format_span_id(each.context.span_id)}-01"
        for each in announced
    }
    assert {format_trace_id(each.context.trace_id) for each in announced} == {TRACE_ID}


@pytest.mark.usefixtures("active_model")
async def test_processing_links_to_the_batches_and_is_no_child_of_them(
    detector: RunningDetector, ingest: ScriptedIngest, spans: InMemorySpanExporter
) -> None:
    await ingest.write(*deliveries(0, samples(), 1000))
    await detector.start()
    await ingest.until_acked()
    done = next(each for each in spans.get_finished_spans() if each.name == "process samples")
    assert (done.kind, done.parent) == (SpanKind.CONSUMER, None)
    assert [format_trace_id(link.context.trace_id) for link in done.links] == [TRACE_ID]


def test_anomaly_of_several_batches_begins_a_trace_and_links_to_them(
    spans: InMemorySpanExporter,
) -> None:
    found = announced(a_finding(1), [TRACEPARENT, OTHER, TRACEPARENT])
    finished = spans.get_finished_spans()[-1]
    assert finished.parent is None
    assert len(finished.links) == 2
    assert found.traceparent[3:35] not in (TRACE_ID, OTHER[3:35])


def test_anomaly_is_kept_in_a_trace_that_is_not(spans: InMemorySpanExporter) -> None:
    found = announced(a_finding(1), [TRACEPARENT[:-2] + "00"])
    assert found.traceparent.startswith(f"00-{TRACE_ID}")
    assert found.traceparent.endswith("-01")
    assert spans.get_finished_spans()[-1].attributes is not None


def test_anomaly_without_a_trace_begins_its_own(spans: InMemorySpanExporter) -> None:
    with span("outer"):
        outer = traceparent()
    assert announced(a_finding(1), []).traceparent[3:35] != outer[3:35]
    assert spans.get_finished_spans()[-1].parent is None
