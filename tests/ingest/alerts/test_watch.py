"""A watch of alerts tells every change in the order of its commit, and goes on where it was."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest

from sensus.core.v1 import alert_pb2, series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.harness import Running, alert

NOW = int(time.time() * 1000)
FIRING, RESOLVED = alert_pb2.ALERT_STATE_FIRING, alert_pb2.ALERT_STATE_RESOLVED
LIMIT_S = 300.0


async def write(service: Running, *alerts: alert_pb2.Alert) -> list[str]:
    answer = await service.stub.WriteAlerts(pb.WriteAlertsRequest(alerts=alerts))
    return list(answer.alert_ids)


@asynccontextmanager
async def watching(service: Running, **asked: Any) -> AsyncIterator[Any]:
    call = service.stub.WatchAlerts(pb.WatchAlertsRequest(**asked))
    try:
        yield aiter(call)
    finally:
        call.cancel()
        with suppress(grpc.RpcError, asyncio.CancelledError):
            await call.code()


async def changes(frames: Any, count: int) -> list[tuple[int, str, int]]:
    """Cursor, episode and state of the next changes."""
    found: list[tuple[int, str, int]] = []
    async with asyncio.timeout(LIMIT_S):
        while len(found) < count:
            frame = await anext(frames)
            if frame.WhichOneof("frame") == "alert":
                found.append((frame.cursor, frame.alert.alert_id, frame.alert.state))
    return found


async def test_changes_come_in_the_order_of_their_commit(service: Running) -> None:
    begun = [alert(start_ms=NOW - 1000, host=str(n)) for n in range(3)]
    ids = await write(service, *begun)
    await write(service, alert(RESOLVED, start_ms=NOW - 1000, end_ms=NOW, host="1"))
    async with watching(service, after_cursor=0) as frames:
        told = await changes(frames, 4)
    assert [cursor for cursor, _, _ in told] == [1, 2, 3, 4]
    assert [(alert_id, state) for _, alert_id, state in told] == [
        *((each, FIRING) for each in ids),
        (ids[1], RESOLVED),
    ]


async def test_a_change_carries_the_state_that_it_brought(service: Running) -> None:
    await write(service, alert(start_ms=NOW - 1000))
    await write(service, alert(RESOLVED, start_ms=NOW - 1000, end_ms=NOW))
    async with watching(service, after_cursor=0) as frames, asyncio.timeout(LIMIT_S):
        first, second = [await anext(frames) for _ in range(2)]
    assert not first.alert.HasField("end_time")
    assert first.alert.end_reason == 0
    assert second.alert.end_time.ToMilliseconds() == NOW
    assert second.alert.end_reason == 1


async def test_a_watch_goes_on_behind_its_cursor(service: Running) -> None:
    ids = await write(service, *(alert(start_ms=NOW - 1000, host=str(n)) for n in range(4)))
    async with watching(service, after_cursor=2) as frames:
        told = await changes(frames, 2)
        late = await write(service, alert(start_ms=NOW - 500, host="late"))
        told += await changes(frames, 1)
    assert [alert_id for _, alert_id, _ in told] == ids[2:] + late


async def test_without_a_cursor_only_what_comes_is_told(service: Running) -> None:
    await write(service, alert(start_ms=NOW - 1000))
    async with watching(service) as frames:
        async with asyncio.timeout(LIMIT_S):
            assert (await anext(frames)).WhichOneof("frame") == "heartbeat"
        ids = await write(service, alert(start_ms=NOW - 500, host="new"))
        assert [each[1] for each in await changes(frames, 1)] == ids


async def test_selector_and_severity_choose_and_heartbeats_move_on(service: Running) -> None:
    await write(service, alert(start_ms=NOW - 1000, job="a", severity="critical"))
    await write(service, alert(start_ms=NOW - 1000, job="a", severity="info"))
    await write(service, alert(start_ms=NOW - 1000, job="b", severity="critical"))
    asked = {"selector": '{job="a"}', "min_severity": series_pb2.SEVERITY_WARNING}
    async with watching(service, after_cursor=0, **asked) as frames:
        assert [cursor for cursor, _, _ in await changes(frames, 1)] == [1]
    async with watching(service, after_cursor=1, **asked) as frames, asyncio.timeout(LIMIT_S):
        frame = await anext(frames)
    assert (frame.WhichOneof("frame"), frame.cursor) == ("heartbeat", 3)


async def test_a_process_that_drains_says_so(service: Running) -> None:
    async with watching(service) as frames, asyncio.timeout(LIMIT_S):
        await anext(frames)
        stopping = asyncio.create_task(service.ingest.server.stop(0, 60))
        while (frame := await anext(frames)).WhichOneof("frame") == "heartbeat":
            pass
        assert frame.WhichOneof("frame") == "draining"
        await stopping


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"selector": "{"}, "INVALID_SELECTOR"),
        ({"min_severity": 9}, "INVALID_SEVERITY"),
        ({"heartbeat_interval": {"seconds": 0, "nanos": 1}}, "INVALID_HEARTBEAT"),
        ({"heartbeat_interval": {"seconds": 3600}}, "INVALID_HEARTBEAT"),
    ],
)
async def test_what_cannot_be_watched_is_refused(
    shared: Running, asked: dict[str, Any], reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async with watching(shared, **asked) as frames, asyncio.timeout(LIMIT_S):
            await anext(frames)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason in str(refused.value.trailing_metadata())
