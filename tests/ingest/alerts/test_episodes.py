"""How episodes end: said by their sender, or inferred from another notice of the label set."""

import asyncio
import itertools
import time

from hypothesis import example, given
from hypothesis import strategies as st

from sensus.core.v1 import alert_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.consumers import alerts_open
from tests.ingest.harness import Running, alert, opened
from tests.properties import examples

NOW = int(time.time() * 1000)
FIRING, RESOLVED = alert_pb2.ALERT_STATE_FIRING, alert_pb2.ALERT_STATE_RESOLVED
SAID, SUPERSEDED, COVERED = 1, 2, 3
_runs = itertools.count()


async def write(service: Running, *alerts: alert_pb2.Alert) -> pb.WriteAlertsResponse:
    return await service.stub.WriteAlerts(pb.WriteAlertsRequest(alerts=alerts))


def unnamed(state: int, run: str, end_ms: int | None = None) -> alert_pb2.Alert:
    """A notice that does not say which episode it is about."""
    made = alert(state, start_ms=0, end_ms=end_ms, run=run)
    made.ClearField("start_time")
    return made


async def episodes(service: Running, run: str) -> dict[int, tuple[int, int, int]]:
    """State, end and reason of each episode by its start; times in seconds before now."""
    listed = await service.stub.ListAlerts(pb.ListAlertsRequest(selector=f'{{run="{run}"}}'))
    return {
        (NOW - each.start_time.ToMilliseconds()) // 1000: (
            each.state,
            (NOW - each.end_time.ToMilliseconds()) // 1000 if each.HasField("end_time") else 0,
            each.end_reason,
        )
        for each in listed.alerts
    }


Said = tuple[int, int]
"""Start and end in seconds before now; end 0 means that it fires."""


def notice(said: Said, run: str) -> alert_pb2.Alert:
    start_s, end_s = said
    state = RESOLVED if end_s else FIRING
    end_ms = NOW - end_s * 1000 if end_s else None
    return alert(state, start_ms=NOW - start_s * 1000, end_ms=end_ms, run=run)


def expected(notices: set[Said]) -> dict[int, tuple[int, int, int]]:
    """What any order of these notices must end in. Larger numbers are earlier."""
    ends = {start: end for start, end in notices if end}
    found = {}
    for start in {start for start, _ in notices}:
        if start in ends:
            found[start] = (RESOLVED, ends[start], SAID)
            continue
        newer = [(other, SUPERSEDED) for other, _ in notices if other < start]
        covers = [(end, COVERED) for other, end in ends.items() if other >= start >= end]
        earliest = max([*newer, *covers], key=lambda bound: (bound[0], -bound[1]), default=None)
        found[start] = (RESOLVED, *earliest) if earliest else (FIRING, 0, 0)
    return found


# one end per start: a sender says one end of an episode
ENDS = {90: 70, 80: 20, 60: 50, 40: 10, 30: 25}
NOTICES = st.sampled_from([(start, end) for start in ENDS for end in (0, ENDS[start])])


@examples(60)
@given(st.lists(st.lists(NOTICES, min_size=1, max_size=4), min_size=1, max_size=6))
@example([[(90, 0)], [(80, 0)], [(80, 20)], [(60, 0)], [(90, 70)]])
@example([[(60, 50)], [(80, 20), (90, 0)], [(30, 0)], [(60, 0)]])
async def test_any_order_of_notices_ends_in_the_same_episodes(
    shared: Running, requests: list[list[Said]]
) -> None:
    """Notices in any order, interleaving and repetition, all requests at the same time."""
    run = f"order {next(_runs)}"
    await asyncio.gather(
        *(write(shared, *(notice(said, run) for said in request)) for request in requests)
    )
    notices = {said for request in requests for said in request}
    assert await episodes(shared, run) == expected(notices)


async def test_a_newer_episode_ends_the_older_one(shared: Running) -> None:
    (old,) = (await write(shared, notice((90, 0), "newer"))).alert_ids
    await write(shared, notice((60, 0), "newer"))
    assert await episodes(shared, "newer") == {
        90: (RESOLVED, 60, SUPERSEDED),
        60: (FIRING, 0, 0),
    }
    found = await shared.stub.GetAlert(pb.GetAlertRequest(alert_id=old))
    assert [change.state for change in found.history] == [FIRING, RESOLVED]


async def test_the_senders_own_end_replaces_an_inferred_one(shared: Running) -> None:
    (old,) = (await write(shared, notice((90, 0), "own"))).alert_ids
    await write(shared, notice((60, 0), "own"))
    answer = await write(shared, notice((90, 70), "own"))
    assert answer.accepted == 1
    assert (await episodes(shared, "own"))[90] == (RESOLVED, 70, SAID)
    found = await shared.stub.GetAlert(pb.GetAlertRequest(alert_id=old))
    assert [each.end_time.ToMilliseconds() for each in found.history] == [0, NOW - 70_000]
    assert (await write(shared, notice((90, 70), "own"))).duplicates == 1


async def test_label_sets_do_not_end_each_other(shared: Running) -> None:
    await write(shared, notice((90, 0), "apart a"), notice((60, 10), "apart b"))
    assert (await episodes(shared, "apart a"))[90] == (FIRING, 0, 0)


async def test_a_resolved_without_start_ends_what_is_open(shared: Running) -> None:
    await write(shared, notice((90, 70), "zero"), notice((60, 0), "zero"))
    end_ms = NOW - 30_000
    answer = await write(shared, unnamed(RESOLVED, "zero", end_ms))
    assert answer.accepted == 1
    assert (await episodes(shared, "zero"))[60] == (RESOLVED, 30, COVERED)
    again = await write(shared, unnamed(RESOLVED, "zero", end_ms))
    assert (again.accepted, again.duplicates, list(again.alert_ids)) == (0, 1, [""])
    reasons = [warning.reason for warning in again.warnings]
    assert reasons == ["NOTHING_OPEN"]
    await write(shared, notice((20, 0), "zero"))
    assert (await episodes(shared, "zero"))[20] == (FIRING, 0, 0), "it began after the end"


async def test_a_resolved_without_start_stores_nothing_when_nothing_is_open(
    shared: Running,
) -> None:
    await write(shared, unnamed(RESOLVED, "nothing"))
    assert await episodes(shared, "nothing") == {}


async def test_firing_without_start_is_about_the_open_episode(shared: Running) -> None:
    first = await write(shared, unnamed(FIRING, "open"))
    again = await write(shared, unnamed(FIRING, "open"), unnamed(FIRING, "open"))
    assert (first.accepted, again.accepted, again.duplicates) == (1, 0, 2)
    assert set(again.alert_ids) == set(first.alert_ids)
    over = await write(shared, unnamed(RESOLVED, "open"))
    assert list(over.alert_ids) == list(first.alert_ids)
    anew = await write(shared, unnamed(FIRING, "open"))
    assert anew.accepted == 1
    assert set(anew.alert_ids) != set(first.alert_ids)


async def test_one_request_may_end_an_episode_and_begin_the_next(shared: Running) -> None:
    await write(shared, unnamed(FIRING, "turn"))
    answer = await write(
        shared,
        unnamed(RESOLVED, "turn"),
        unnamed(FIRING, "turn"),
        notice((50, 5), "turn other"),
        unnamed(FIRING, "turn"),
    )
    assert (answer.accepted, answer.duplicates) == (3, 1)
    listed = await shared.stub.ListAlerts(pb.ListAlertsRequest(selector='{run="turn"}'))
    assert [each.state for each in listed.alerts] == [FIRING, RESOLVED]


async def test_what_is_over_at_its_birth_is_never_delivered_as_firing(service: Running) -> None:
    async with opened(service.stub.Subscribe, alerts_open(credit=10)) as stream:
        await stream.next("opened")
        await write(service, notice((60, 0), "late"))
        await write(service, notice((90, 0), "late"))
        seen = [(await stream.next("alert")).alert for _ in range(3)]
    by_start = [(NOW - each.start_time.ToMilliseconds(), each.state) for each in seen]
    assert sorted(by_start) == [(60_000, FIRING), (90_000, RESOLVED), (90_000, RESOLVED)]


async def test_an_inferred_end_keeps_what_the_alert_said(shared: Running) -> None:
    said = notice((90, 0), "keeps")
    said.annotations.add(name="summary", value="it is hot")
    over = alert_pb2.Alert()
    over.CopyFrom(said)
    over.state = RESOLVED
    over.ClearField("annotations")
    over.ClearField("start_time")
    (alert_id,) = (await write(shared, said)).alert_ids
    await write(shared, over)
    found = (await shared.stub.GetAlert(pb.GetAlertRequest(alert_id=alert_id))).alert
    assert (found.state, found.annotations[0].value) == (RESOLVED, "it is hot")
