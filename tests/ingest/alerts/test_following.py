"""Who follows alerts by asking hears of every change, once."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

import cli.clients.watching
from cli.clients.watching import AlertWatch
from sensus.core.v1 import alert_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.harness import Running, alert

FIRING, RESOLVED = alert_pb2.ALERT_STATE_FIRING, alert_pb2.ALERT_STATE_RESOLVED
HOUR_MS = 3_600_000


async def write(service: Running, *alerts: alert_pb2.Alert) -> Sequence[str]:
    return (await service.stub.WriteAlerts(pb.WriteAlertsRequest(alerts=alerts))).alert_ids


class Followed:
    """What a watch has told."""

    def __init__(self) -> None:
        self.told: list[alert_pb2.Alert] = []
        self._news = asyncio.Event()

    def tell(self, alert: alert_pb2.Alert) -> None:
        self.told.append(alert)
        self._news.set()

    async def changes(self, count: int) -> list[tuple[str, int]]:
        async with asyncio.timeout(30):
            while len(self.told) < count:
                self._news.clear()
                await self._news.wait()
        return [(each.alert_id, each.state) for each in self.told]


@asynccontextmanager
async def following(service: Running) -> AsyncIterator[Followed]:
    followed, since = Followed(), Timestamp()
    since.FromMilliseconds(service.clock.now_ms())
    watch = AlertWatch(channel=service.channel, tell=followed.tell, since=since)
    task = asyncio.create_task(watch.run())
    yield followed
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.clients.watching, "_ALERTS_INTERVAL_S", 0.05)


async def test_an_end_that_lies_before_the_watch_is_told(service: Running) -> None:
    """A resolved notice often says that it ended minutes ago."""
    now_ms = int(time.time() * 1000)
    (alert_id,) = await write(service, alert(start_ms=now_ms - HOUR_MS))
    await asyncio.sleep(0.01)
    async with following(service) as followed:
        await write(service, alert(RESOLVED, start_ms=now_ms - HOUR_MS, end_ms=now_ms - 60_000))
        assert await followed.changes(1) == [(alert_id, RESOLVED)]
        await asyncio.sleep(0.3)
        assert len(followed.told) == 1


async def test_both_changes_between_two_questions_are_told(service: Running) -> None:
    now_ms = int(time.time() * 1000)
    async with following(service) as followed:
        await write(
            service,
            alert(start_ms=now_ms - 9000, host="a"),
            alert(RESOLVED, start_ms=now_ms - 9000, end_ms=now_ms - 1000, host="a"),
        )
        states = [state for _, state in await followed.changes(2)]
        assert states == [FIRING, RESOLVED]
        assert not followed.told[0].HasField("end_time")


async def test_a_storm_of_more_than_a_page_is_told_whole(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.clients.watching, "_PAGE_SIZE", 7)
    now_ms = int(time.time() * 1000)
    storm = [alert(start_ms=now_ms - n, host=str(n)) for n in range(40)]
    async with following(service) as followed:
        ids = await write(service, *storm)
        assert sorted(await followed.changes(40)) == sorted((each, FIRING) for each in ids)
        await asyncio.sleep(0.3)
        assert len(followed.told) == 40


async def test_a_change_committed_late_is_told(service: Running) -> None:
    """Its time lies before that of one that was told already."""
    now_ms = int(time.time() * 1000)
    async with following(service) as followed:
        service.clock.ahead_ms = 5000
        await write(service, alert(start_ms=now_ms, host="early"))
        await followed.changes(1)
        service.clock.ahead_ms = 1000
        await write(service, alert(start_ms=now_ms, host="late"))
        assert len(await followed.changes(2)) == 2


async def test_only_what_changed_is_listed(service: Running) -> None:
    now_ms = service.clock.now_ms()
    await write(service, alert(start_ms=now_ms - 1, host="old"))
    service.clock.ahead_ms = HOUR_MS
    (fresh,) = await write(service, alert(start_ms=now_ms - HOUR_MS, host="fresh"))
    request = pb.ListAlertsRequest()
    request.changed_since.FromMilliseconds(now_ms + HOUR_MS // 2)
    found = await service.stub.ListAlerts(request)
    assert [each.alert_id for each in found.alerts] == [fresh]
