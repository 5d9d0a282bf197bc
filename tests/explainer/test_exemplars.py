"""An anomaly of a series leads to a request behind it, when its sender gave one."""

import pytest

from mesh.errors import Unavailable
from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import EVENT_MS, Detector, Ingest, anomaly

TRACE_URL = "https://jaeger.example.com/trace/{trace_id}"


def exemplar(trace: str, value: float, *, after_ms: int = 0) -> ingest_pb.Exemplar:
    """A request that was measured near the anomaly."""
    made = ingest_pb.Exemplar(value=value, trace_id=trace * 32)
    made.time.FromMilliseconds(EVENT_MS + after_ms)
    return made


async def result(running: Running) -> pb.Explanation:
    """The explanation of the anomaly."""
    request = pb.ExplainRequest(subject=pb.Subject(anomaly_id="n1"))
    frames = [frame async for frame in running.stub.Explain(request, timeout=120)]
    return frames[-1].result


def examples(found: pb.Explanation) -> list[pb.Evidence]:
    return [each for each in found.evidence if each.kind == pb.EVIDENCE_KIND_EXAMPLE]


async def test_the_greatest_exemplar_near_an_anomaly_is_cited_with_its_trace(
    start: Start, ingest: Ingest, detector: Detector
) -> None:
    detector.anomalies["n1"] = anomaly("n1")
    ingest.exemplars = [
        exemplar("a", 3.0, after_ms=-30_000),
        exemplar("b", 7.5, after_ms=-60_000),
        exemplar("c", 7.5, after_ms=-20_000),
        exemplar("d", 99.0, after_ms=-6 * 3_600_000),
    ]
    found = await result(await start(trace_url=TRACE_URL))
    (piece,) = examples(found)
    assert piece.link == f"https://jaeger.example.com/trace/{'c' * 32}"
    assert [(each.name, each.value) for each in piece.figures] == [("sampled", 7.5)]
    told = f"For example a request that counts in cpu_usage (trace {'c' * 32}) "
    assert f"{told}[{piece.evidence_id}]." in found.summary
    assert ingest.exemplar_queries == ['cpu_usage{host="web-1"}']


@pytest.mark.parametrize("is_away", [False, True])
async def test_an_explanation_without_exemplars_says_nothing_of_them(
    explainer: Running, ingest: Ingest, detector: Detector, is_away: bool
) -> None:
    """There are none, or they cannot be had: the rest is explained all the same."""
    detector.anomalies["n1"] = anomaly("n1")
    if is_away:
        ingest.exemplars = [exemplar("a", 3.0)]
        ingest.faults.errors["QueryExemplars"] = Unavailable("away", reason="DATABASE_UNAVAILABLE")
    found = await result(explainer)
    assert ingest.exemplar_queries  # and once more while it is away
    assert not examples(found)
    assert found.verdict == pb.VERDICT_EXPLAINED
    assert not [each for each in found.evidence if "exemplar" in each.title]


async def test_an_alert_names_no_series_so_none_is_asked_for(
    explainer: Running, ingest: Ingest
) -> None:
    ingest.exemplars = [exemplar("a", 3.0)]
    assert not examples(await explainer.result())
    assert ingest.exemplar_queries == []
