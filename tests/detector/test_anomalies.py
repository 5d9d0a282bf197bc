"""The front door: list, get, status, and every error of the contract."""

import dataclasses
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from mesh.clients import closing
from mesh.wire import OWN_CONNECTIONS
from sensus.core.v1 import series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.detector.v1 import detector_service_pb2_grpc
from services.detector.model.anomalies import (
    Contribution,
    Kind,
)
from tests.detector.anomaly_log import (
    Log,
    a_finding,
    frames,
    refused,
    watch,
)
from tests.detector.running import RunningDetector
from tests.detector.signals import START_MS

if TYPE_CHECKING:
    pass

WARNING = series_pb2.SEVERITY_WARNING
CRITICAL = series_pb2.SEVERITY_CRITICAL


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


async def test_list_names_the_rule_of_a_threshold(stub: Any, log: Log) -> None:
    rule = Contribution(feature="rule:too busy", value=80.0, share=1.0)
    crossed = dataclasses.replace(a_finding(1), kind=Kind.THRESHOLD, contributions=(rule,))
    await log.commit(crossed, a_finding(2))
    listed = (await stub.ListAnomalies(detector_pb.ListAnomaliesRequest())).anomalies
    told = [[(part.feature, part.value) for part in each.contributions] for each in listed]
    assert told == [[], [("rule:too busy", 80.0)]]


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
