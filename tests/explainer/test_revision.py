"""What was finished is explained anew when evidence that decides comes later."""

from uuid import UUID

import pytest

from mesh.deadline import time_remaining
from mesh.errors import Unavailable
from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.convert.stored import Conclusion
from services.explainer.explanations.revision import decisive
from tests.explainer.conftest import Running
from tests.explainer.peers import RESOLVED, Ingest, alert, calm


@pytest.fixture
def looking(explainer: Running) -> Running:
    """An explainer to which every age of an explanation is old enough."""
    explainer.explainer.revisions._after_s = (0.0, 0.0, 900.0)
    return explainer


async def revisions(running: Running) -> list[pb.Explanation]:
    """All of them, the newest first, once a look was taken and its work is done."""
    await running.explainer.revisions.once()
    answer = await running.stub.ListExplanations(pb.ListExplanationsRequest())
    for each in answer.explanations:
        await running.explainer.jobs.finished(pb_id(each))
    answer = await running.stub.ListExplanations(pb.ListExplanationsRequest())
    return list(answer.explanations)


def pb_id(explanation: pb.Explanation) -> UUID:
    """The id of an explanation."""
    return UUID(explanation.explanation_id)


async def test_series_that_come_late_name_the_cause_in_a_revision(
    looking: Running, ingest: Ingest
) -> None:
    late, ingest.series = ingest.series, []
    first = await looking.result()
    assert first.verdict == pb.VERDICT_INSUFFICIENT_EVIDENCE
    ingest.series = late
    second, before = await revisions(looking)
    assert before.explanation_id == first.explanation_id
    assert (second.revision, second.verdict) == (2, pb.VERDICT_EXPLAINED)
    assert second.difference.startswith("Before nobody was named, now ")


async def test_what_says_nothing_new_makes_no_revision(looking: Running, ingest: Ingest) -> None:
    await looking.result()
    ingest.series.append(calm("disk_usage", host="web-9"))
    assert [each.revision for each in await revisions(looking)] == [1]


async def test_of_like_explanations_the_first_is_looked_at_for_all(
    looking: Running, ingest: Ingest
) -> None:
    for number in range(4):
        ingest.alerts[f"s{number}"] = alert(f"s{number}", host="web-1")
        await looking.result(f"s{number}")
    asked = ingest.faults.calls["GetAlert"]
    await revisions(looking)
    assert ingest.faults.calls["GetAlert"] == asked + 1


async def test_look_leaves_no_deadline_to_the_next_and_its_failure_uses_up_no_turn(
    looking: Running, ingest: Ingest
) -> None:
    late, ingest.series = ingest.series, []
    for alert_id, name in (("a1", "HighCPU"), ("a2", "SlowDisk")):
        ingest.alerts[alert_id] = alert(alert_id, name=name)
        await looking.result(alert_id)
    ingest.series = late
    ingest.faults.errors["GetAlert"] = Unavailable("away")
    for _ in range(len(looking.explainer.revisions._after_s)):
        await looking.explainer.revisions.once()
    asked = ingest.faults.calls["GetAlert"]
    del ingest.faults.errors["GetAlert"]
    await looking.explainer.revisions.once()
    assert ingest.faults.calls["GetAlert"] >= asked + 2
    assert time_remaining() is None
    assert max(each.revision for each in await revisions(looking)) == 2


async def test_resolved_alert_is_left_as_it_was_explained(looking: Running, ingest: Ingest) -> None:
    late, ingest.series = ingest.series, []
    await looking.result()
    ingest.series = late
    ingest.alerts["a1"] = alert("a1", state=RESOLVED)
    assert [each.revision for each in await revisions(looking)] == [1]


@pytest.mark.parametrize(
    ("before", "now", "decides"),
    [
        (("", 0.2, ""), ("db", 0.6, ""), True),
        (("db", 0.6, ""), ("", 0.0, ""), False),
        (("db", 0.6, ""), ("db", 0.9, ""), False),
        (("db", 0.6, ""), ("cart", 0.5, ""), False),
        (("db", 0.6, ""), ("cart", 0.7, ""), True),
        (("db", 0.6, ""), ("db", 0.6, "deploy v2 in db"), True),
        (("db", 0.6, "deploy v2 in db"), ("db", 0.6, "deploy v2 in db"), False),
    ],
)
def test_another_cause_decides_when_it_is_surer_and_the_same_one_when_more_stands_behind_it(
    before: tuple[str, float, str], now: tuple[str, float, str], decides: bool
) -> None:
    known = [
        Conclusion(cause=cause, confidence=sure, telling=frozenset({told} - {""}))
        for cause, sure, told in (before, now)
    ]
    assert decisive(*known) is decides
