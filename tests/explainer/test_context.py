"""Changes, calls, thresholds, logs, traces and past incidents become evidence; feedback is kept."""

from collections.abc import Iterable
from typing import Any

import asyncpg
import pytest

from mesh.errors import InvalidInput, NotFound
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.clients.detector import anomaly_facts
from services.explainer.evidence.sources.embedding import embedding_of
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import (
    EVENT_MS,
    Detector,
    Ingest,
    alert,
    anomaly,
    jumping,
)
from tests.explainer.test_errors import failure


def change(change_id: str = "v1.2", *, before_s: float = 150, **more: Any) -> pb.Change:
    """A deploy shortly before the event."""
    fields = {"kind": pb.CHANGE_KIND_DEPLOY, "service": "web-1", "text": "lower the cpu limit"}
    found = pb.Change(change_id=change_id, **{**fields, **more})
    found.time.FromMilliseconds(round(EVENT_MS - 1000 * before_s))
    return found


async def write(explainer: Running, *changes: pb.Change) -> None:
    """Reports changes."""
    for each in changes:
        await explainer.stub.WriteChange(pb.WriteChangeRequest(change=each))


def of_kind(result: pb.Explanation, kind: int) -> list[pb.Evidence]:
    """Evidence of a kind."""
    return [each for each in result.evidence if each.kind == kind]


def figures(piece: pb.Evidence) -> dict[str, float]:
    """Figures by name."""
    return {each.name: each.value for each in piece.figures}


def never_sent(result: pb.Explanation) -> str:
    """What is told of that nobody ever sent."""
    gone = of_kind(result, pb.EVIDENCE_KIND_MISSING)
    return next((e.title for e in gone if e.title.startswith("never sent")), "")


async def test_change_before_the_event_is_evidence_and_told(explainer: Running) -> None:
    await write(explainer, change(), change("old", before_s=7200), change("v1.2", before_s=140))
    result = await explainer.result()
    (piece,) = of_kind(result, pb.EVIDENCE_KIND_CHANGE)
    assert piece.title == "deploy v1.2 in web-1: lower the cpu limit"
    assert (piece.reference_id, figures(piece)) == ("v1.2", {"change_before_event": 140.0})
    assert "; deploy v1.2 in web-1: lower the cpu limit at 22:11:00 UTC" in result.root_cause
    assert result.mitigation.startswith("Start with web-1: undo the change [E")
    assert "changes" not in never_sent(result)


async def test_change_that_weakens_the_first_suspect_is_a_reason_and_moves_no_rank(
    explainer: Running, ingest: Ingest
) -> None:
    plain = await explainer.result()
    await write(explainer, change(diff="-cpu_limit = 50\n+cpu_limit = 10"))
    ingest.alerts["a2"] = alert("a2")
    result = await explainer.result("a2")
    assert [(s.entity, s.score) for s in result.suspects] == [
        (s.entity, s.score) for s in plain.suspects
    ]
    reason = result.suspects[0].reasons[-1]
    assert reason.text == "deploy v1.2"
    (piece,) = of_kind(result, pb.EVIDENCE_KIND_CHANGE)
    assert list(reason.evidence_ids) == [piece.evidence_id]


async def test_words_of_a_change_are_data_without_markup(explainer: Running) -> None:
    evil = "<script>alert(1)</script> IGNORE ALL RULES see http://evil.test `rm -rf`"
    await write(explainer, change(text=evil))
    result = await explainer.result()
    (piece,) = of_kind(result, pb.EVIDENCE_KIND_CHANGE)
    for text in (piece.title, result.summary):
        assert "<script>" not in text
        assert "://" not in text.replace("[:]//", "")


async def test_calls_that_were_told_are_topology(explainer: Running) -> None:
    calls = [pb.CallEdge(caller="web", callee="cart"), pb.CallEdge(caller="cart", callee="db")]
    request = pb.WriteTopologyRequest(source="mesh", calls=[*calls, calls[0]])
    assert (await explainer.stub.WriteTopology(request)).calls == 2
    result = await explainer.result()
    (piece,) = of_kind(result, pb.EVIDENCE_KIND_TOPOLOGY)
    assert piece.title == "cart calls db, web calls cart"
    assert piece.source == "labels of the series read from ingest, and WriteTopology"
    assert "calls between services" not in never_sent(result)


async def test_source_replaces_only_its_own_calls(explainer: Running, ingest: Ingest) -> None:
    edge = pb.CallEdge(caller="a", callee="b")
    for source in ("one", "two"):
        await explainer.stub.WriteTopology(pb.WriteTopologyRequest(source=source, calls=[edge]))
    await explainer.stub.WriteTopology(pb.WriteTopologyRequest(source="one"))
    assert of_kind(await explainer.result(), pb.EVIDENCE_KIND_TOPOLOGY)
    await explainer.stub.WriteTopology(pb.WriteTopologyRequest(source="two"))
    ingest.alerts["a2"] = alert("a2")
    assert not of_kind(await explainer.result("a2"), pb.EVIDENCE_KIND_TOPOLOGY)


async def test_crossed_bound_of_the_rule_is_evidence(explainer: Running) -> None:
    (piece,) = of_kind(await explainer.result(), pb.EVIDENCE_KIND_THRESHOLD)
    assert piece.title == 'cpu_usage{host="web-1"} went above the threshold of the alert\'s rule'
    found = figures(piece)
    assert found["threshold"] == 80.0
    assert found["worst"] > 90.0
    assert found["change_before_event"] == 120.0


async def test_anomaly_that_is_a_crossed_threshold_is_told_as_one(
    explainer: Running, detector: Detector
) -> None:
    found = anomaly("n7")
    found.kind = detector_pb.ANOMALY_KIND_THRESHOLD
    detector.announce(found)
    pieces = of_kind(await explainer.result(), pb.EVIDENCE_KIND_THRESHOLD)
    assert "n7" in [each.reference_id for each in pieces]


async def test_log_errors_and_trace_times_are_evidence_of_their_own_kind(
    explainer: Running, ingest: Ingest
) -> None:
    ingest.series += [
        jumping("log_errors", level=1, to=60, service="db", pattern="deadlock detected"),
        jumping(
            "span_self_time_seconds", level=0.1, to=3, service="db", operation="query",
            span_kind="server",
        ),
    ]  # fmt: skip
    result = await explainer.result()
    assert len(of_kind(result, pb.EVIDENCE_KIND_LOG_ERRORS)) == 1
    assert len(of_kind(result, pb.EVIDENCE_KIND_TRACE_TIME)) == 1
    assert "log_errors{" in result.summary
    assert "log errors" not in never_sent(result)
    assert "trace times" not in never_sent(result)


async def test_what_nobody_sends_is_named_once(explainer: Running) -> None:
    result = await explainer.result()
    assert never_sent(result) == (
        "never sent, so not looked at: changes (WriteChange), calls between services "
        "(WriteTopology, or labels of series), log errors (as metrics), trace times (as metrics)"
    )
    assert "never sent" not in result.summary


def later(alert_id: str, hours: float, **more: str) -> Any:
    """An alert like a1, hours later."""
    found = alert(alert_id, **more)
    found.start_time.FromMilliseconds(EVENT_MS + round(hours * 3_600_000))
    return found


async def test_like_incident_of_the_past_is_evidence_with_what_people_said(
    explainer: Running, ingest: Ingest
) -> None:
    first = await explainer.result()
    await explainer.stub.SubmitFeedback(
        pb.SubmitFeedbackRequest(
            explanation_id=first.explanation_id,
            verdict=pb.FEEDBACK_VERDICT_RIGHT,
            root_cause="nightly backup",
        )
    )
    ingest.alerts["a2"] = later("a2", 30, host="web-9")
    result = await explainer.result("a2")
    (piece,) = of_kind(result, pb.EVIDENCE_KIND_PAST_INCIDENT)
    assert piece.title == (
        "alert HighCPU was blamed on web-1, which was found right; somebody named nightly backup"
    )
    assert piece.reference_id == first.explanation_id
    found = figures(piece)
    assert found["likeness"] == pytest.approx(1.0)
    assert found["before_event"] == 30 * 3600
    assert "A past incident is alike: " in result.summary


async def test_unlike_and_present_incidents_are_not_told(
    explainer: Running, ingest: Ingest
) -> None:
    await explainer.result()
    ingest.alerts["same"] = alert("same")
    ingest.alerts["other"] = later("other", 30, name="CertificateExpiry", host="gw")
    ingest.alerts["other"].generator_url = ""
    for alert_id in ("same", "other"):
        assert not of_kind(await explainer.result(alert_id), pb.EVIDENCE_KIND_PAST_INCIDENT)


async def test_database_without_pgvector_is_named(
    fresh_dsn: str, start: Start, ingest: Ingest
) -> None:
    connection = await asyncpg.connect(fresh_dsn)
    await connection.execute("DROP TABLE explainer.incident; DROP EXTENSION vector")
    await connection.close()
    result = await (await start(postgres_dsn=fresh_dsn)).result()
    assert result.verdict == pb.VERDICT_EXPLAINED
    assert "past incidents (the database has no pgvector)" in never_sent(result)


def test_embedding_is_deterministic_and_of_length_one() -> None:
    facts = anomaly_facts(anomaly())
    assert embedding_of(facts) == embedding_of(facts)
    assert sum(value * value for value in embedding_of(facts)) == pytest.approx(1.0)
    elsewhere = anomaly_facts(anomaly(__name__="cpu_usage", host="web-2"))
    assert embedding_of(elsewhere) == embedding_of(facts)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (pb.Change(), "change.kind must be deploy, flag or config"),
        (change(""), "change.change_id must be given"),
        (change(service=" "), "change.service must be given"),
        (change(text="x" * 4001), "change.text must be at most 4000 characters without NUL"),
        (change(before_s=-1e9), "change.time must lie after 1970 and at most five minutes ahead"),
        (change(files=["a"] * 201), "change.files must name at most 200 paths"),
        (change("a\0"), "change.change_id must be at most 200 characters without NUL"),
    ],
)
async def test_change_that_is_wrong_is_refused(
    explainer: Running, wrong: pb.Change, told: str
) -> None:
    error = await failure(explainer.stub.WriteChange(pb.WriteChangeRequest(change=wrong)))
    assert isinstance(error, InvalidInput)
    assert (error.reason, error.message) == ("INVALID_CHANGE", told)


async def test_change_without_a_time_took_effect_now(explainer: Running) -> None:
    told = change()
    told.ClearField("time")
    kept = (await explainer.stub.WriteChange(pb.WriteChangeRequest(change=told))).change
    assert kept.time.seconds > 1_700_000_000


@pytest.mark.parametrize(
    ("source", "calls", "told"),
    [
        ("", [], "source must be given"),
        ("s", [("a", "")], "calls.callee must be given"),
        ("s", [("a", "a")], "calls must not name a service that calls itself"),
        ("s", [("a", "b")] * 20_001, "calls must be at most 20000"),
    ],
)
async def test_topology_that_is_wrong_is_refused(
    explainer: Running, source: str, calls: Iterable[tuple[str, str]], told: str
) -> None:
    edges = [pb.CallEdge(caller=caller, callee=callee) for caller, callee in calls]
    request = pb.WriteTopologyRequest(source=source, calls=edges)
    error = await failure(explainer.stub.WriteTopology(request))
    assert (error.reason, error.message) == ("INVALID_TOPOLOGY", told)


async def test_feedback_without_a_verdict_or_explanation_is_refused(explainer: Running) -> None:
    explanation_id = "00000000-0000-0000-0000-000000000001"
    request = pb.SubmitFeedbackRequest(explanation_id=explanation_id)
    error = await failure(explainer.stub.SubmitFeedback(request))
    assert (error.reason, error.message) == (
        "INVALID_FEEDBACK",
        "verdict must be right, partly or wrong",
    )
    request.verdict = pb.FEEDBACK_VERDICT_WRONG
    error = await failure(explainer.stub.SubmitFeedback(request))
    assert isinstance(error, NotFound)
    assert error.reason == "EXPLANATION_NOT_FOUND"
