"""Exemplars are kept by their trace, read back by any series of their family, and bounded."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as otlp_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as otlp_grpc

from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.write import exemplars as writes
from tests.ingest.harness import Running, config, running
from tests.ingest.prometheus.messages import Request, WriteRequest

NOW_MS = int(time.time() * 1000) // 60_000 * 60_000 - 60_000
"""The begin of a minute that is over."""
DAY_MS = 86_400_000
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
WORKERS = ("committer", "publisher", "relay")


@pytest.fixture
async def service(cleared_dsn: str, redis_url: str, keys: Path) -> AsyncIterator[Running]:
    """A service in which nothing expires before the test says so."""
    async with running(config(cleared_dsn, redis_url, keys), keys, only=WORKERS) as started:
        yield started


def v1(name: str, *exemplars: tuple[int, float, dict[str, str]], **labels: str) -> WriteRequest:
    """A series with exemplars, each so many milliseconds after NOW_MS."""
    request = WriteRequest()
    one = request.timeseries.add()
    for label, value in {"__name__": name, **labels}.items():
        one.labels.add(name=label, value=value)
    one.samples.add(timestamp=NOW_MS, value=1.0)
    for after_ms, value, ids in exemplars:
        made = one.exemplars.add(timestamp=NOW_MS + after_ms, value=value)
        for label, text in ids.items():
            made.labels.add(name=label, value=text)
    return request


def v2(name: str, *exemplars: tuple[int, float, dict[str, str]], **labels: str) -> Request:
    """The same as a message of 2.0."""
    request, symbols = Request(), [""]

    def refs(pairs: dict[str, str]) -> list[int]:
        texts = [text for pair in pairs.items() for text in pair]
        symbols.extend(text for text in dict.fromkeys(texts) if text not in symbols)
        return [symbols.index(text) for text in texts]

    one = request.timeseries.add(labels_refs=refs({"__name__": name, **labels}))
    one.samples.add(timestamp=NOW_MS, value=1.0)
    for after_ms, value, ids in exemplars:
        one.exemplars.add(timestamp=NOW_MS + after_ms, value=value, labels_refs=refs(ids))
    request.symbols.extend(symbols)
    return request


async def write(stub: Any, request: Any) -> int:
    """How many exemplars were written."""
    is_v2 = isinstance(request, Request)
    protocol = pb.REMOTE_WRITE_PROTOCOL_V2 if is_v2 else pb.REMOTE_WRITE_PROTOCOL_V1
    body = request.SerializeToString()
    answer = await stub.RemoteWrite(pb.RemoteWriteRequest(protocol=protocol, body=body))
    assert answer.samples == len(request.timeseries)
    return int(answer.exemplars)


async def stored(
    service: Running, selector: str, start_ms: int = NOW_MS - 3_600_000
) -> dict[str, list[tuple[int, float, str, str]]]:
    """Milliseconds after NOW_MS, value, trace and span of the exemplars of each series, by name."""
    start = Timestamp()
    start.FromMilliseconds(start_ms)
    request = pb.QueryExemplarsRequest(selector=selector, start_time=start)
    answer = await service.stub.QueryExemplars(request)
    return {
        next(label.value for label in found.series.labels if label.name == "__name__"): [
            (each.time.ToMilliseconds() - NOW_MS, each.value, each.trace_id, each.span_id)
            for each in found.exemplars
        ]
        for found in answer.series
    }


@pytest.mark.parametrize("message", [v1, v2])
async def test_an_exemplar_is_read_back_from_its_series(service: Running, message: Any) -> None:
    ids = {"trace_id": TRACE.upper(), "span_id": SPAN, "user": "not read"}
    request = message("taken_seconds_bucket", (5, 2.5, ids), le="5")
    assert await write(service.stub, request) == 1
    assert await write(service.stub, request) == 1  # again: once
    found = await stored(service, '{__name__="taken_seconds_bucket"}')
    assert found == {"taken_seconds_bucket": [(5, 2.5, TRACE, SPAN)]}


@pytest.mark.parametrize("message", [v1, v2])
async def test_the_series_of_a_histogram_have_their_exemplars_in_common(
    service: Running, message: Any
) -> None:
    names = ("wait_seconds_bucket", "wait_seconds_count", "wait_seconds_sum")
    for name in names:
        given = [(0, 1.0, {"traceID": TRACE})] if name == names[0] else []
        await write(service.stub, message(name, *given, host="a"))
        await write(service.stub, message(name, host="b"))
    found = await stored(service, '{host=~"a|b"}')
    assert found == {name: [(0, 1.0, TRACE, "")] for name in names}


def by_objects() -> otlp_pb.ExportMetricsServiceRequest:
    """A counter, a gauge and histograms of both kinds, each with an exemplar."""
    request = otlp_pb.ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    at_ns = NOW_MS * 10**6
    counter = metrics.add(name="orders").sum
    counter.is_monotonic, counter.aggregation_temporality = True, 2
    explicit = metrics.add(name="latency", unit="s").histogram
    explicit.aggregation_temporality = 2
    exponential = metrics.add(name="size", unit="By").exponential_histogram
    exponential.aggregation_temporality = 2
    points = [
        counter.data_points.add(time_unix_nano=at_ns, as_int=7),
        metrics.add(name="depth").gauge.data_points.add(time_unix_nano=at_ns, as_int=7),
        explicit.data_points.add(time_unix_nano=at_ns, count=1, sum=2.5),
        exponential.data_points.add(time_unix_nano=at_ns, count=1, sum=2.5),
    ]
    explicit.data_points[0].bucket_counts.append(1)
    exponential.data_points[0].positive.bucket_counts.append(1)
    for number, point in enumerate(points):
        made = point.exemplars.add(time_unix_nano=at_ns, span_id=bytes.fromhex(SPAN))
        made.trace_id = bytes.fromhex(TRACE)
        if number % 2:
            made.as_int = number
        else:
            made.as_double = number + 0.5
        made.filtered_attributes.add(key="user").value.string_value = "not read"
    return request


async def test_exemplars_of_every_kind_of_otlp_metric_are_read_back(service: Running) -> None:
    stub = otlp_grpc.MetricsServiceStub(service.channel)
    await stub.Export(by_objects())
    found = await stored(service, '{__name__=~"orders.*|depth|latency.*|size.*"}')
    assert {name: each for name, ((_, each, trace, span),) in found.items()
            if (trace, span) == (TRACE, SPAN)} == {
        "orders_total": 0.5,
        "depth": 1.0,
        "latency_seconds_count": 2.5,
        "latency_seconds_sum": 2.5,
        "size_bytes_count": 3.0,
        "size_bytes_sum": 3.0,
    }  # fmt: skip


async def test_of_a_minute_the_greatest_is_kept_and_of_a_family_an_hour(service: Running) -> None:
    given = [(0, 2.0), (10, 3.0), (20, 1.0), (60_000, 0.5)]
    exemplars = [(after, value, {"trace_id": TRACE}) for after, value in given]
    assert await write(service.stub, v1("greatest", *exemplars[:1])) == 1
    assert await write(service.stub, v1("greatest", *exemplars)) == 4
    found = await stored(service, "greatest")
    assert [each[:2] for each in found["greatest"]] == [(10, 3.0), (60_000, 0.5)]
    older = [(-60_000 * ago, 9.0, {"trace_id": TRACE}) for ago in range(1, 100)]
    await write(service.stub, v1("greatest", *older))
    found = await stored(service, "greatest", NOW_MS - 3 * 3_600_000)
    minutes = [after // 60_000 for after, *_ in found["greatest"]]
    assert minutes == [*range(-58, 2)]


@pytest.mark.parametrize(
    ("after_ms", "value", "ids"),
    [
        (0, 1.0, {}),
        (0, 1.0, {"trace_id": "0" * 32}),
        (0, 1.0, {"trace_id": "no hex"}),
        (0, 1.0, {"trace_id": "a" * 31}),
        (0, 1.0, {"trace_id": "a" * 5000}),
        (0, float("nan"), {"trace_id": TRACE}),
        (0, float("inf"), {"trace_id": TRACE}),
        (-8 * DAY_MS, 1.0, {"trace_id": TRACE}),
        (DAY_MS, 1.0, {"trace_id": TRACE}),
    ],
)
@pytest.mark.parametrize("message", [v1, v2])
async def test_what_leads_nowhere_is_left_out_and_costs_nothing_else(
    service: Running, message: Any, after_ms: int, value: float, ids: dict[str, str]
) -> None:
    good = (1000, 4.0, {"trace_id": "1234567890abcdef"})
    assert await write(service.stub, message("nowhere", (after_ms, value, ids), good)) == 1
    found = await stored(service, "nowhere")
    assert found == {"nowhere": [(1000, 4.0, "0" * 16 + "1234567890abcdef", "")]}


async def test_refs_beyond_the_symbols_lead_nowhere(service: Running) -> None:
    request = v2("beyond", (0, 1.0, {"trace_id": TRACE}))
    request.timeseries[0].exemplars[0].labels_refs[1] = 999
    assert await write(service.stub, request) == 0
    assert await stored(service, "beyond") == {}


async def test_a_caller_has_a_share_of_a_minute(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "MOST_OF_CALLER", 3)
    sent = WriteRequest()
    for number in range(5):
        sent.MergeFrom(v1(f"shared_{number}", (0, 1.0, {"trace_id": TRACE})))
    assert await write(service.stub, sent) == 3
    assert len(await stored(service, '{__name__=~"shared_.*"}')) == 3
    async with service.called_by("user:other", "write:samples") as other:
        assert await write(other, sent) == 5  # three of them are there already
    assert len(await stored(service, '{__name__=~"shared_.*"}')) == 5


async def test_of_a_body_as_many_are_looked_at_as_have_room(service: Running) -> None:
    sent = WriteRequest()
    for number in range(1500):
        sent.MergeFrom(v1("many", (0, 1.0, {"trace_id": TRACE}), i=str(number)))
    assert await write(service.stub, sent) == 1000


async def test_none_is_kept_where_none_may_be(cleared_dsn: str, redis_url: str, keys: Path) -> None:
    settings = config(cleared_dsn, redis_url, keys, examples="off")
    async with running(settings, keys, only=WORKERS) as service:
        assert await write(service.stub, v1("off", (0, 1.0, {"trace_id": TRACE}))) == 0
        assert await stored(service, "off") == {}


async def test_they_go_with_age_and_beyond_their_number(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        request = v1("aging", (-60_000 * number, 1.0, {"trace_id": TRACE}))
        assert await write(service.stub, request) == 1
    assert len((await stored(service, "aging"))["aging"]) == 4
    monkeypatch.setattr("services.ingest.upkeep.expiry._EXEMPLARS_MAX", 2)
    await service.ingest.expiry.tidy()
    found = await stored(service, "aging")
    assert [after for after, *_ in found["aging"]] == [-60_000, 0]
    service.clock.ahead_ms = 8 * DAY_MS
    await service.ingest.expiry.tidy()
    connection = await asyncpg.connect(service.dsn)
    assert await connection.fetchval("SELECT count(*) FROM ingest.exemplar") == 0
    await connection.close()
