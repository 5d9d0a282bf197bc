"""A watch tells every anomaly and every end once, in the order of commits."""

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from mesh.clients import closing
from mesh.errors import OutOfRange, translated
from sensus.core.v1 import series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.model.anomalies import (
    EndReason,
    EpisodeEnd,
)
from services.detector.model.checkpoints import Changes
from services.detector.store import CheckpointStore
from tests.detector.anomaly_log import (
    Log,
    a_finding,
    frames,
    numbers,
    refused,
    watch,
)
from tests.detector.running import RunningDetector, eventually
from tests.detector.signals import START_MS

if TYPE_CHECKING:
    from mesh.postgres import Pool

WARNING = series_pb2.SEVERITY_WARNING
CRITICAL = series_pb2.SEVERITY_CRITICAL


async def test_watch_sends_what_was_stored_and_then_what_comes(stub: Any, log: Log) -> None:
    await log.commit(a_finding(1), a_finding(2))
    async with closing(stub.WatchAnomalies(watch(after_cursor=0))) as call:
        assert numbers(await frames(call, 2)) == [1, 2]
        await log.commit(a_finding(3))
        assert numbers(await frames(call, 1)) == [3]


async def test_watch_without_a_cursor_sends_only_what_comes(stub: Any, log: Log) -> None:
    await log.commit(a_finding(1))
    interval = Duration(seconds=1)
    async with closing(stub.WatchAnomalies(watch(heartbeat_interval=interval))) as call:
        heartbeat = await call.read()
        assert heartbeat.WhichOneof("frame") == "heartbeat"
        assert heartbeat.cursor == 1
        await log.commit(a_finding(2))
        assert numbers(await frames(call, 1)) == [2]


async def test_watch_resumes_after_any_frame_without_loss_or_doubling(stub: Any, log: Log) -> None:
    await log.commit(*(a_finding(n) for n in range(40)))
    cursor, got = 0, list[int]()
    while len(got) < 40:
        async with closing(stub.WatchAnomalies(watch(after_cursor=cursor))) as call:
            some = await frames(call, min(7, 40 - len(got)))
            got += numbers(some)
            cursor = some[-1].cursor
    assert got == list(range(40))


async def test_watch_sends_every_anomaly_of_commits_that_race(
    stub: Any, log: Log, pool: "Pool"
) -> None:
    """Cursors are given in the order of the commits: none becomes visible behind the watch."""
    stores = [CheckpointStore(pool) for _ in range(6)]

    async def write(shard: int) -> None:
        await stores[shard].claim(shard, 1, "test")
        for n in range(20):
            await stores[shard].commit(
                Changes(
                    shard=shard, epoch=1, from_cursor=n, to_cursor=n + 1, processed_samples=0,
                    collected_samples=0, series_count=0, warm_series_count=0, new_series=[],
                    row_numbers=[], states=[], warm=[],
                    findings=[a_finding(1000 * shard + n), a_finding(1000 * shard + n + 500)],
                )
            )  # fmt: skip

    async with closing(stub.WatchAnomalies(watch(after_cursor=0))) as call:
        writing = asyncio.gather(*(write(shard) for shard in range(6)))
        got = await frames(call, 240)
        await writing
    cursors = [frame.cursor for frame in got]
    assert cursors == sorted(set(cursors))
    assert len({frame.anomaly.anomaly_id for frame in got}) == 240


async def test_watch_on_another_replica_sees_the_same_log(
    started: RunningDetector, stub: Any, log: Log
) -> None:
    other = RunningDetector(started.settings["postgres_dsn"], "127.0.0.1:1", started.keys)
    await other.start(workers=["publisher"])
    try:
        async with other.client() as second:
            async with closing(second.WatchAnomalies(watch(after_cursor=0))) as call:
                await log.commit(a_finding(1))
                first = await frames(call, 1)
            async with closing(stub.WatchAnomalies(watch(after_cursor=first[0].cursor))) as call:
                await log.commit(a_finding(2))
                assert numbers(await frames(call, 1)) == [2]
    finally:
        await other.stop()


async def test_watch_filters_by_selector_and_severity_and_its_cursor_moves_on(
    stub: Any, log: Log
) -> None:
    request = watch(
        after_cursor=0,
        selector='cpu{host=~"a|b"}',
        min_severity=CRITICAL,
        heartbeat_interval=Duration(seconds=1),
    )
    async with closing(stub.WatchAnomalies(request)) as call:
        await log.commit(
            a_finding(1, score=0.99, host="a"),
            a_finding(2, score=0.99, host="c"),
            a_finding(3, score=0.9, host="b"),
        )
        assert numbers(await frames(call, 1)) == [1]
        assert (await call.read()).cursor == 3


async def test_watch_ends_with_a_draining_frame(started: RunningDetector, log: Log) -> None:
    await log.commit(a_finding(1))
    async with started.client() as stub, closing(stub.WatchAnomalies(watch())) as call:
        assert (await call.read()).WhichOneof("frame") == "heartbeat"
        started.parts.drain.begin()
        last = await call.read()
        assert (last.WhichOneof("frame"), last.cursor) == ("draining", 1)
        assert await call.read() is grpc.aio.EOF
        assert await call.code() == grpc.StatusCode.OK


async def test_cancelled_watch_ends_on_the_server(started: RunningDetector, stub: Any) -> None:
    from services.detector import metrics

    async with closing(stub.WatchAnomalies(watch())) as call:
        await call.read()
        await eventually(lambda: metrics.WATCHERS._value.get() == 1)
    await eventually(lambda: metrics.WATCHERS._value.get() == 0)


async def test_watch_goes_on_at_the_end_of_a_log_that_retention_has_emptied(
    stub: Any, log: Log, pool: "Pool"
) -> None:
    await log.commit(a_finding(1))
    last = await pool.fetchval("SELECT max(cursor) FROM detector.anomaly")
    await pool.execute("DELETE FROM detector.anomaly")
    async with closing(stub.WatchAnomalies(watch(after_cursor=last))) as call:
        frame = await call.read()
    assert (frame.WhichOneof("frame"), frame.cursor) == ("heartbeat", last)
    async with closing(stub.WatchAnomalies(watch(after_cursor=last + 1))) as call:
        with pytest.raises(OutOfRange), translated():
            await call.read()


@pytest.mark.parametrize(
    "interval", [Duration(), Duration(seconds=-5), Duration(seconds=315_576_000_000, nanos=1)]
)
async def test_watch_holds_any_heartbeat_interval_within_its_bounds(
    stub: Any, interval: Duration
) -> None:
    async with closing(stub.WatchAnomalies(watch(heartbeat_interval=interval))) as call:
        assert (await call.read()).WhichOneof("frame") == "heartbeat"


async def test_watch_with_a_bad_selector_is_refused(stub: Any) -> None:
    async with closing(stub.WatchAnomalies(watch(selector="{"))) as call:
        error = await refused(call)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_SELECTOR")


async def test_watch_tells_when_an_episode_ended_and_get_shows_it(stub: Any, log: Log) -> None:
    first, other = a_finding(1), a_finding(9)
    await log.commit(first, other)
    end = EpisodeEnd(series_id=1, end_ms=START_MS + 5000, reason=EndReason.USUAL_AGAIN)
    await log.commit(ends=[end])
    async with closing(stub.WatchAnomalies(watch(after_cursor=0))) as call:
        frames = [await call.read() for _ in range(3)]
    assert [frame.WhichOneof("frame") for frame in frames] == ["anomaly", "anomaly", "ended"]
    assert frames[2].cursor > frames[1].cursor
    ended = frames[2].ended
    assert ended.anomaly_id == first.anomaly_id
    assert ended.end_time.ToMilliseconds() == START_MS + 5000
    assert ended.reason == detector_pb.ANOMALY_END_REASON_USUAL_AGAIN
    request = detector_pb.GetAnomalyRequest(anomaly_id=first.anomaly_id)
    assert (await stub.GetAnomaly(request)).anomaly.end_time == ended.end_time
    request = detector_pb.GetAnomalyRequest(anomaly_id=other.anomaly_id)
    assert not (await stub.GetAnomaly(request)).anomaly.HasField("end_time")


async def test_an_end_goes_to_those_watches_alone_that_saw_its_anomaly(stub: Any, log: Log) -> None:
    await log.commit(a_finding(1, score=0.5), a_finding(2, score=0.9))
    end = EpisodeEnd(series_id=1, end_ms=START_MS + 5000, reason=EndReason.NEW_LEVEL)
    await log.commit(ends=[end])
    interval = Duration(seconds=1)
    request = watch(after_cursor=0, min_severity=WARNING, heartbeat_interval=interval)
    async with closing(stub.WatchAnomalies(request)) as call:
        frames = [await call.read() for _ in range(3)]
    assert [frame.WhichOneof("frame") for frame in frames] == ["anomaly", "ended", "heartbeat"]
    assert frames[1].ended.anomaly_id == frames[0].anomaly.anomaly_id
