"""What an explanation says when evidence is missing, late, or names nobody."""

import asyncio

import pytest

from mesh.errors import Overloaded, Unavailable
from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.explanations import lifecycle
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import EVENT_MS, Detector, Ingest, anomaly, calm, jumping


def missing(result: pb.Explanation) -> list[str]:
    """What is named as missing, but for what was never sent at all."""
    gone = [e.title for e in result.evidence if e.kind == pb.EVIDENCE_KIND_MISSING]
    return [title for title in gone if not title.startswith("never sent")]


async def test_calm_series_name_nobody(explainer: Running, ingest: Ingest) -> None:
    ingest.series[0] = calm("cpu_usage", host="web-1")
    result = await explainer.result()
    assert result.verdict == pb.VERDICT_INSUFFICIENT_EVIDENCE
    assert result.root_cause == ""
    assert "The evidence names no cause" in result.summary


async def test_subject_without_history_is_insufficient_evidence(
    explainer: Running, ingest: Ingest
) -> None:
    short = jumping("cpu_usage", host="web-1")
    keep = [i for i, at in enumerate(short.timestamps_ms) if at >= EVENT_MS]
    short.timestamps_ms = [short.timestamps_ms[i] for i in keep]
    short.values = [short.values[i] for i in keep]
    ingest.series = [short]
    result = await explainer.result()
    assert result.verdict == pb.VERDICT_INSUFFICIENT_EVIDENCE
    assert missing(result) == ["history: too few samples before the event"]


async def test_subject_with_one_sample_is_insufficient_evidence(
    explainer: Running, ingest: Ingest
) -> None:
    one = calm("cpu_usage", host="web-1")
    one.timestamps_ms, one.values = [EVENT_MS], [7.0]
    ingest.series = [one]
    result = await explainer.result()
    assert result.verdict == pb.VERDICT_INSUFFICIENT_EVIDENCE
    assert [(f.name, f.value) for f in result.evidence[1].figures] == [("last_value", 7.0)]


async def test_metric_that_vanished_says_how_long_it_has_been_silent(
    explainer: Running, ingest: Ingest
) -> None:
    gone = calm("cpu_usage", host="web-1")
    keep = sum(at < EVENT_MS - 1_200_000 for at in gone.timestamps_ms)
    gone.timestamps_ms, gone.values = gone.timestamps_ms[:keep], gone.values[:keep]
    ingest.series = [gone]
    result = await explainer.result()
    piece = result.evidence[1]
    assert piece.title == 'cpu_usage{host="web-1"} has no samples around the event'
    assert {f.name: f.value for f in piece.figures}["silent_before_event"] == 1215.0


async def test_store_without_any_series_is_insufficient_evidence(
    explainer: Running, ingest: Ingest
) -> None:
    ingest.series = []
    result = await explainer.result()
    assert result.verdict == pb.VERDICT_INSUFFICIENT_EVIDENCE
    assert missing(result) == [
        "no series could be tied to the subject",
        "history: too few samples before the event",
    ]


async def test_store_with_too_many_series_is_read_around_the_subject(
    start: Start, ingest: Ingest, detector: Detector
) -> None:
    ingest.series += [calm(f"metric_{i}", service=f"s{i}") for i in range(60)]
    ingest.series.append(jumping("db_wait_seconds", level=1.0, to=9.0, service="db"))
    detector.anomalies["n2"] = anomaly("n2", __name__="db_wait_seconds", service="db")
    explainer = await start(gather_series_max=50)
    result = await explainer.result()
    moved = [e.title for e in result.evidence if e.kind == pb.EVIDENCE_KIND_MOVED_SERIES]
    assert moved == ['db_wait_seconds{service="db"} rose above its usual range']
    assert missing(result) == [
        "not every series was read: those near the subject and the abnormal ones were"
    ]


@pytest.mark.parametrize(
    ("method", "source"),
    [
        ("ListAlerts", "alerts nearby"),
        ("ListAnomalies", "anomalies nearby"),
    ],
)
async def test_source_that_fails_is_named_and_the_rest_explains(
    explainer: Running, ingest: Ingest, detector: Detector, method: str, source: str
) -> None:
    owner = ingest if method == "ListAlerts" else detector
    owner.faults.errors[method] = Overloaded("no", reason="QUOTA")
    frames = await explainer.explain()
    result = frames[-1].result
    assert result.verdict == pb.VERDICT_EXPLAINED
    assert missing(result) == [f"{source}: unavailable (QUOTA)"]
    degraded = [f.stage for f in frames if f.stage.status == pb.STAGE_STATUS_DEGRADED]
    assert [(s.stage, s.message) for s in degraded] == [(pb.STAGE_GATHERING, f"without {source}")]


async def test_slow_source_is_cut_at_the_deadline(start: Start, ingest: Ingest) -> None:
    never = ingest.faults.held["ListAlerts"] = asyncio.Event()
    explainer = await start(gather_timeout_s=0.3)
    result = await explainer.result()
    never.set()
    assert "alerts nearby: no answer in time" in missing(result)


async def test_samples_that_cannot_be_had_leave_insufficient_evidence(
    explainer: Running, ingest: Ingest
) -> None:
    ingest.faults.errors["QuerySamples"] = Overloaded("no", reason="QUOTA")
    result = await explainer.result()
    assert result.state == pb.EXPLANATION_STATE_DONE
    assert result.verdict == pb.VERDICT_INSUFFICIENT_EVIDENCE
    assert "series of the subject: unavailable (QUOTA)" in missing(result)


async def test_explanation_without_any_source_waits_for_one_and_leaves_no_failed_one_beside_it(
    start: Start, ingest: Ingest, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it was put off: only a run that died counts as an attempt."""
    monkeypatch.setattr(lifecycle, "_RETRY_SUBJECT_AFTER_S", 0.1)
    explainer = await start(job_lease_s=3.0)
    away = Unavailable("away", reason="AWAY", retry_after_s=None)
    ingest.faults.errors = {"ListAlerts": away, "QuerySamples": away}
    detector.faults.errors = {"ListAnomalies": away}
    keeping = asyncio.create_task(explainer.explainer.jobs.keep())
    waiting = asyncio.create_task(explainer.result())
    pool = explainer.explainer.pool
    query = "SELECT state, attempt FROM explainer.explanation"
    async with asyncio.timeout(120):
        while [tuple(row) for row in await pool.fetch(query)] != [("running", 0)]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    ingest.faults.errors.clear()
    detector.faults.errors.clear()
    result = await waiting
    keeping.cancel()
    assert result.verdict == pb.VERDICT_EXPLAINED
    listed = await explainer.stub.ListExplanations(pb.ListExplanationsRequest())
    assert [each.state for each in listed.explanations] == [pb.EXPLANATION_STATE_DONE]
