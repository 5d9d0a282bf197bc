"""What begins together at one sender is one anomaly with its members."""

import dataclasses
from typing import TYPE_CHECKING, Any

from mesh.clients import closing
from sensus.core.v1 import series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.model.anomalies import (
    EndReason,
    EpisodeEnd,
    Kind,
)
from tests.detector.anomaly_log import (
    Log,
    a_finding,
    listed,
    numbers,
    of_shop,
    watch,
)
from tests.detector.signals import START_MS

if TYPE_CHECKING:
    pass


async def test_what_begins_together_at_one_service_is_sent_once_and_ends_with_the_last(
    stub: Any, log: Log
) -> None:
    """A member is over by itself; a stronger one, and one of another service, are sent too."""
    lead, member, stronger = of_shop(1), of_shop(2, score=0.85), of_shop(3, score=0.99)
    alone = dataclasses.replace(a_finding(4), series_id=4)
    await log.commit(lead, member, alone, stronger)
    ends = [EpisodeEnd(series_id=n, end_ms=START_MS + 9000 * n, reason=EndReason.USUAL_AGAIN)
            for n in (1, 2)]  # fmt: skip
    await log.commit(ends=ends[:1])
    await log.commit(of_shop(5, score=0.81))
    await log.commit(ends=ends[1:])
    await log.commit(ends=[dataclasses.replace(ends[0], series_id=5)])
    async with closing(stub.WatchAnomalies(watch(after_cursor=0))) as call:
        frames = [await call.read() for _ in range(4)]
    assert numbers(frames[:3]) == [1, 4, 3]
    assert frames[0].anomaly.series_count == 3
    assert frames[0].anomaly.reason.endswith("2 other series of service=shop")
    assert frames[3].ended.anomaly_id == lead.anomaly_id
    assert frames[3].ended.end_time.ToMilliseconds() == START_MS + 18_000
    got = (await stub.GetAnomaly(detector_pb.GetAnomalyRequest(anomaly_id=lead.anomaly_id))).anomaly
    assert [each.series_id for each in got.members] == [2, 5]
    assert got.shared_label == series_pb2.Label(name="service", value="shop")
    assert {each.lead_anomaly_id for each in await listed(stub)} == {"", lead.anomaly_id}
    assert len(await listed(stub, exclude_members=True)) == 3


async def test_a_watch_that_selects_a_member_and_not_its_lead_gets_the_member(
    stub: Any, log: Log
) -> None:
    await log.commit(of_shop(1), dataclasses.replace(of_shop(2), labels={"host": "b"}))
    for request, expected in (
        ({"selector": '{host="b"}'}, [2]),
        ({"include_members": True}, [1, 2]),
    ):
        async with closing(stub.WatchAnomalies(watch(after_cursor=0, **request))) as call:
            assert numbers([await call.read() for _ in expected]) == expected


async def test_members_beyond_those_kept_by_name_are_counted(stub: Any, log: Log) -> None:
    silent = {"kind": Kind.ABSENCE, "alert_score": 0.8}
    await log.commit(*(of_shop(n, listed=n < 4, **silent) for n in range(1, 26)))
    (lead, *members) = sorted(await listed(stub), key=lambda each: each.series_id)
    assert (lead.series_count, len(members)) == (25, 2)
    assert lead.reason.startswith("25 series of service=shop silent since 20")


async def test_the_end_of_a_rule_or_a_silence_ends_nothing_else_of_the_series(
    stub: Any, log: Log
) -> None:
    kinds = [(Kind.VALUE, ""), (Kind.THRESHOLD, "r"), (Kind.THRESHOLD, "s"), (Kind.ABSENCE, "")]
    await log.commit(
        *(
            dataclasses.replace(a_finding(1), anomaly_id=f"{n}", kind=kind, source=source)
            for n, (kind, source) in enumerate(kinds)
        )
    )
    usual = EpisodeEnd(series_id=1, end_ms=START_MS + 9000, reason=EndReason.USUAL_AGAIN)
    for n, (kind, source) in enumerate(kinds):
        await log.commit(ends=[dataclasses.replace(usual, kind=kind, source=source)])
        still = {each.anomaly_id for each in await listed(stub) if not each.HasField("end_time")}
        assert still == {f"{later}" for later in range(n + 1, 4)}
