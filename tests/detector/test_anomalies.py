"""The front door: watch, list, get, status, and every error of the contract."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from mesh.clients import closing
from mesh.errors import SensusError, from_rpc_error
from mesh.wire import OWN_CONNECTIONS
from sensus.core.v1 import series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.detector.v1 import detector_service_pb2_grpc
from services.detector.model.anomalies import Contribution, Finding, Kind, Severity, anomaly_id
from services.detector.model.checkpoints import Changes, NewSeries
from services.detector.store import CheckpointStore
from tests.detector.running import RunningDetector, eventually
from tests.detector.signals import START_MS

if TYPE_CHECKING:
    from mesh.postgres import Pool

WARNING = series_pb2.SEVERITY_WARNING
CRITICAL = series_pb2.SEVERITY_CRITICAL


def a_finding(n: int, *, score: float = 0.9, **labels: str) -> Finding:
    """The n-th anomaly of a made series; one second lies between two."""
    event_ms = START_MS + n * 1000
    return Finding(
        anomaly_id=anomaly_id(1, event_ms, Kind.VALUE),
        series_id=1,
        labels={"__name__": "cpu", "number": str(n)} | labels,
        kind=Kind.VALUE,
        severity=Severity.of_score(score),
        event_ms=event_ms,
        value=float(n),
        raw_score=0.99,
        alert_score=score,
        expected_low=-1.0,
        expected_high=1.0,
        contributions=(
            Contribution(feature="change", value=1.5, share=-0.25),
            Contribution(feature="value", value=9.0, share=0.75),
        ),
        model_version=1,
        traceparent="",
    )


class Log:
    """Commits anomalies as a detector would, on a shard of its own."""

    def __init__(self, pool: "Pool") -> None:
        """Claims nothing yet."""
        self.store = CheckpointStore(pool)
        self.cursor = 0

    async def commit(self, *findings: Finding) -> None:
        """Commits the findings in one checkpoint."""
        if not self.cursor:
            await self.store.claim(15, 1, "test")
        self.cursor += 1
        await self.store.commit(
            Changes(
                shard=15, epoch=1, from_cursor=self.cursor - 1, to_cursor=self.cursor,
                processed_samples=self.cursor, collected_samples=0, series_count=1,
                warm_series_count=0, new_series=[NewSeries(row_number=0, series_id=1, labels={})]
                if self.cursor == 1 else [], row_numbers=[], states=[], warm=[],
                findings=findings,
            )
        )  # fmt: skip


@pytest.fixture
def log(pool: "Pool") -> Log:
    """Where anomalies come from."""
    return Log(pool)


@pytest.fixture
async def started(detector: RunningDetector) -> RunningDetector:
    """A detector that answers and consumes nothing."""
    await detector.start(workers=["publisher"])
    return detector


@pytest.fixture
async def stub(started: RunningDetector) -> AsyncIterator[Any]:
    """A client that may read."""
    async with started.client() as stub:
        yield stub


async def refused(call: Any) -> SensusError:
    """The error of a call, of a stream with its first frame."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (call.read() if hasattr(call, "read") else call)
    return from_rpc_error(caught.value)


def watch(**request: Any) -> detector_pb.WatchAnomaliesRequest:
    return detector_pb.WatchAnomaliesRequest(**request)


async def frames(call: Any, count: int) -> list[detector_pb.WatchAnomaliesResponse]:
    """The next anomalies, heartbeats left out."""
    got: list[detector_pb.WatchAnomaliesResponse] = []
    async with asyncio.timeout(10):
        while len(got) < count:
            frame = await call.read()
            assert frame is not grpc.aio.EOF
            if frame.WhichOneof("frame") != "heartbeat":
                got.append(frame)
    return got


def numbers(got: list[detector_pb.WatchAnomaliesResponse]) -> list[int]:
    return [int(frame.anomaly.value) for frame in got]


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
        assert metrics.WATCHERS._value.get() == 1
    await eventually(lambda: metrics.WATCHERS._value.get() == 0)


async def test_watch_and_get_give_the_reasons_and_list_does_not(stub: Any, log: Log) -> None:
    await log.commit(a_finding(1))
    async with closing(stub.WatchAnomalies(watch(after_cursor=0))) as call:
        watched = (await frames(call, 1))[0].anomaly
    request = detector_pb.GetAnomalyRequest(anomaly_id=a_finding(1).anomaly_id)
    got = (await stub.GetAnomaly(request)).anomaly
    listed = (await stub.ListAnomalies(detector_pb.ListAnomaliesRequest())).anomalies[0]
    assert got == watched
    assert [(part.feature, part.share) for part in got.contributions] == [
        ("value", 0.75), ("change", -0.25)]  # fmt: skip
    assert list(listed.contributions) == []
    assert [label.name for label in got.labels] == ["__name__", "number"]
    assert got.event_time.ToMilliseconds() == START_MS + 1000
    assert (got.kind, got.severity) == (detector_pb.ANOMALY_KIND_VALUE, WARNING)
    assert (got.expected.low, got.expected.high) == (-1.0, 1.0)


async def test_get_tells_the_earlier_anomaly_that_was_most_like_it(stub: Any, log: Log) -> None:
    alike, unlike = (
        a_finding(1),
        dataclasses.replace(
            a_finding(2), contributions=(Contribution(feature="hour", value=3.0, share=1.0),)
        ),
    )
    below = dataclasses.replace(a_finding(3), value=-7.0)
    await log.commit(alike, unlike, below, a_finding(4), a_finding(5))
    got = (
        await stub.GetAnomaly(detector_pb.GetAnomalyRequest(anomaly_id=below.anomaly_id))
    ).anomaly
    assert got.nearest_earlier.anomaly_id == alike.anomaly_id
    assert got.nearest_earlier.event_time == Timestamp(seconds=START_MS // 1000 + 1)
    assert got.nearest_earlier.similarity == pytest.approx(0.5)
    last = detector_pb.GetAnomalyRequest(anomaly_id=a_finding(5).anomaly_id)
    found = (await stub.GetAnomaly(last)).anomaly.nearest_earlier
    assert (found.anomaly_id, found.value) == (a_finding(4).anomaly_id, 4.0)
    assert found.similarity == pytest.approx(1.0)
    assert found.verdict == detector_pb.ANOMALY_VERDICT_UNSPECIFIED
    first = detector_pb.GetAnomalyRequest(anomaly_id=alike.anomaly_id)
    assert not (await stub.GetAnomaly(first)).anomaly.HasField("nearest_earlier")


async def test_list_pages_through_all_newest_first(stub: Any, log: Log) -> None:
    await log.commit(*(a_finding(n) for n in range(25)))
    token, got, pages = "", list[int](), 0
    while pages == 0 or token:
        request = detector_pb.ListAnomaliesRequest(page_size=10, page_token=token)
        page = await stub.ListAnomalies(request)
        got += [int(anomaly.value) for anomaly in page.anomalies]
        token, pages = page.next_page_token, pages + 1
    assert got == list(range(24, -1, -1))
    assert pages == 3


async def test_list_of_one_instant_loses_nothing_between_pages(stub: Any, log: Log) -> None:
    same = [
        dataclasses.replace(a_finding(0), anomaly_id=f"{n:032x}", series_id=n) for n in range(9)
    ]
    await log.commit(*same)
    token, got = "", list[int]()
    while token or not got:
        request = detector_pb.ListAnomaliesRequest(page_size=4, page_token=token)
        page = await stub.ListAnomalies(request)
        got += [anomaly.series_id for anomaly in page.anomalies]
        token = page.next_page_token
    assert got == list(range(8, -1, -1))


async def test_list_filters_by_time_severity_kind_and_selector(stub: Any, log: Log) -> None:
    await log.commit(*(a_finding(n, score=0.5 + n / 20, host=f"h{n % 2}") for n in range(10)))

    async def values(**fields: Any) -> list[int]:
        page = await stub.ListAnomalies(detector_pb.ListAnomaliesRequest(**fields))
        return [int(anomaly.value) for anomaly in page.anomalies]

    assert await values(start_time=at(8)) == [9, 8]
    assert await values(end_time=at(2)) == [1, 0]
    assert await values(start_time=at(3), end_time=at(5)) == [4, 3]
    assert await values(min_severity=CRITICAL) == [9]
    assert await values(kind=detector_pb.ANOMALY_KIND_ABSENCE) == []
    assert await values(kind=detector_pb.ANOMALY_KIND_VALUE, page_size=1) == [9]
    assert await values(selector='cpu{host="h1"}') == [9, 7, 5, 3, 1]
    assert await values(selector='{number=~"[2-4]",host!="h1"}') == [4, 2]
    assert await values(selector='{host="none"}') == []
    assert await values(selector='{host="\x00"}') == []
    assert await values(kind=1_000_000) == []
    assert await values(kind=-1) == []
    assert await values(min_severity=1_000_000) == []
    assert await values(min_severity=-1, page_size=1) == [9]


def at(n: int) -> Timestamp:
    moment = Timestamp()
    moment.FromMilliseconds(START_MS + n * 1000)
    return moment


@pytest.mark.parametrize(
    ("request_fields", "reason", "field"),
    [
        ({"selector": "cpu{"}, "INVALID_SELECTOR", "selector"),
        ({"selector": '{host=~"("}'}, "INVALID_SELECTOR", "selector"),
        ({"page_size": 1001}, "INVALID_PAGE_SIZE", "page_size"),
        ({"page_token": "nonsense"}, "INVALID_PAGE_TOKEN", "page_token"),
        ({"page_token": "AAAA"}, "INVALID_PAGE_TOKEN", "page_token"),
        ({"page_token": "ä"}, "INVALID_PAGE_TOKEN", "page_token"),
        ({"start_time": at(2), "end_time": at(2)}, "INVALID_TIME_RANGE", "end_time"),
        ({"start_time": Timestamp(seconds=10**15)}, "INVALID_TIME_RANGE", "start_time"),
        ({"end_time": Timestamp(nanos=-5)}, "INVALID_TIME_RANGE", "end_time"),
    ],
)
async def test_list_refuses_what_it_cannot_answer(
    stub: Any, request_fields: dict[str, Any], reason: str, field: str
) -> None:
    error = await refused(stub.ListAnomalies(detector_pb.ListAnomaliesRequest(**request_fields)))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert [each.field for each in error.violations] == [field]  # type: ignore[attr-defined]


async def test_page_token_of_another_question_is_refused(stub: Any, log: Log) -> None:
    await log.commit(a_finding(1), a_finding(2))
    first = await stub.ListAnomalies(detector_pb.ListAnomaliesRequest(page_size=1))
    other = detector_pb.ListAnomaliesRequest(
        page_size=1, page_token=first.next_page_token, min_severity=WARNING
    )
    error = await refused(stub.ListAnomalies(other))
    assert error.reason == "INVALID_PAGE_TOKEN"
    assert "keep all other fields as they were" in error.message


async def test_watch_from_beyond_the_end_waits_for_what_comes(stub: Any, log: Log) -> None:
    async with closing(stub.WatchAnomalies(watch(after_cursor=2**64 - 1))) as call:
        frame = await call.read()
    assert (frame.WhichOneof("frame"), frame.cursor) == ("heartbeat", 2**64 - 1)


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


@pytest.mark.parametrize("unknown", ["", "0" * 32, "x" * 5000, "a\x00b", "é"])
async def test_get_of_an_unknown_anomaly_is_not_found(stub: Any, unknown: str) -> None:
    error = await refused(stub.GetAnomaly(detector_pb.GetAnomalyRequest(anomaly_id=unknown)))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "ANOMALY_NOT_FOUND")


CALLS = {
    "WatchAnomalies": watch(),
    "ListAnomalies": detector_pb.ListAnomaliesRequest(),
    "GetAnomaly": detector_pb.GetAnomalyRequest(anomaly_id="x"),
    "GetDetectorStatus": detector_pb.GetDetectorStatusRequest(),
}


@pytest.mark.parametrize("method", CALLS)
async def test_caller_without_the_scope_is_denied(started: RunningDetector, method: str) -> None:
    async with started.client(scopes=["write:samples"]) as stub:
        error = await refused(getattr(stub, method)(CALLS[method]))
    assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")


@pytest.fixture
async def plain(started: RunningDetector) -> AsyncIterator[Any]:
    """A client of another make: no health check, no retries, no token of its own."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{started.port}", OWN_CONNECTIONS) as channel:
        yield detector_service_pb2_grpc.DetectorServiceStub(channel)


@pytest.mark.parametrize("method", CALLS)
async def test_caller_without_a_token_is_unauthenticated(plain: Any, method: str) -> None:
    error = await refused(getattr(plain, method)(CALLS[method]))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")


@pytest.mark.parametrize("method", CALLS)
async def test_without_a_database_every_call_is_unavailable_and_says_when_to_come_back(
    started: RunningDetector, plain: Any, method: str
) -> None:
    started.parts.checkpoints._pool.terminate()
    token = (("authorization", f"Bearer {started.token()}"),)
    error = await refused(getattr(plain, method)(CALLS[method], metadata=token))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
    assert error.retry_after_s is not None


async def test_status_of_a_fresh_installation_is_warming_up(stub: Any) -> None:
    status = await stub.GetDetectorStatus(detector_pb.GetDetectorStatusRequest())
    assert status == detector_pb.GetDetectorStatusResponse(
        phase=detector_pb.DETECTOR_PHASE_WARMING_UP, warmup_samples_needed=300
    )
