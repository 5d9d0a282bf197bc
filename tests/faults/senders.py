"""Senders of every kind that send until they are told to stop, each body until it is answered."""

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import cramjam
import grpc
import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.harness import query
from tests.ingest.otlp.events import logs, traces
from tests.ingest.prometheus.messages import WriteRequest
from tests.product import Door

SERIES = 20
_RETRYABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_ANSWER_S = 5.0
_AGAIN_S = 0.05


@dataclass(slots=True)
class Sender:
    """Sends bodies of SERIES samples of a metric, numbered from 1; `answered` counts them.

    `deliver` sends a body and says whether it is taken; False means: again, byte by byte.
    """

    name: str
    body: Callable[[int], bytes]
    deliver: Callable[[bytes], Awaitable[bool]]
    answered: int = 0
    again: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Returns after the body that was under way when it was told to stop."""
        while not self.stopped.is_set():
            body = self.body(self.answered + 1)
            while not await self.deliver(body):
                self.again += 1
                await asyncio.sleep(_AGAIN_S)
            self.answered += 1


@asynccontextmanager
async def sending(senders: list[Sender]) -> AsyncIterator[None]:
    """All of them send while the block runs."""
    async with asyncio.TaskGroup() as tasks:
        for sender in senders:
            tasks.create_task(sender.run())
        try:
            yield
        finally:
            for sender in senders:
                sender.stopped.set()


async def all_go_on(senders: list[Sender], before: list[int]) -> bool | None:
    """Whether each had another answer since."""
    pairs = zip(senders, before, strict=True)
    return all(sender.answered > count + 1 for sender, count in pairs) or None


async def holds_once(door: Door, sender: Sender) -> None:
    """Each series has each number that was answered, once, and in order."""
    now_ms = int(time.time() * 1000)
    found = await query(door.ingest, sender.name, now_ms - 7_200_000, now_ms + 60_000)
    assert len(found) == SERIES
    for points in found.values():
        assert [value for _, value in points] == [float(n + 1) for n in range(sender.answered)]


async def scored(door: Door, count: int) -> bool | None:
    """Whether the detector has seen exactly so many samples since the installation began."""
    return (await door.status()).processed_samples == count or None


def batches(channel: grpc.aio.Channel, metadata: Callable[[], list[tuple[str, str]]]) -> Sender:
    """Plain batches by gRPC."""
    start_ms = _start_ms()
    call = channel.unary_unary("/sensus.ingest.v1.IngestService/WriteBatch")

    def body(number: int) -> bytes:
        columns = pb.SampleColumns(
            series_refs=struct.pack(f"<{SERIES}I", *range(SERIES)),
            timestamps_ms=struct.pack(f"<{SERIES}q", *[start_ms + number] * SERIES),
            values=struct.pack(f"<{SERIES}d", *[float(number)] * SERIES),
        )
        request = pb.WriteBatchRequest(
            producer_id="drill", batch=pb.SampleBatch(sequence=number, columns=columns)
        )
        for ref in range(SERIES):
            made = request.series.add(ref=ref)
            made.labels.add(name="__name__", value="drill_batches")
            made.labels.add(name="i", value=str(ref))
        return request.SerializeToString()

    return Sender("drill_batches", body, lambda body: _called(call, body, metadata()))


def otlp(channel: grpc.aio.Channel, metadata: Callable[[], list[tuple[str, str]]]) -> Sender:
    """OTLP by gRPC."""
    start_ms = _start_ms()
    path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
    call = channel.unary_unary(path)

    def body(number: int) -> bytes:
        request = ExportMetricsServiceRequest()
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="drill_otlp")
        for ref in range(SERIES):
            point = metric.gauge.data_points.add(as_double=float(number))
            point.time_unix_nano = (start_ms + number) * 10**6
            point.attributes.add(key="i").value.string_value = str(ref)
        return request.SerializeToString()

    return Sender("drill_otlp", body, lambda body: _called(call, body, metadata()))


def remote_write(door: Door) -> Sender:
    """Prometheus remote write by HTTP."""
    start_ms = _start_ms()
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}

    def body(number: int) -> bytes:
        request = WriteRequest()
        for ref in range(SERIES):
            one = request.timeseries.add()
            one.labels.add(name="__name__", value="drill_remote_write")
            one.labels.add(name="i", value=str(ref))
            one.samples.add(timestamp=start_ms + number, value=float(number))
        return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))

    async def deliver(content: bytes) -> bool:
        try:
            answer = await door.http.post("/api/v1/write", content=content, headers=headers)
        except httpx.TransportError:
            return False
        assert answer.status_code in (204, 503), answer.text
        return answer.status_code == 204

    return Sender("drill_remote_write", body, deliver)


def spans(channel: grpc.aio.Channel, metadata: Callable[[], list[tuple[str, str]]]) -> Sender:
    """OTLP traces by gRPC; `event_ids` tells what is in a body."""
    path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    call = channel.unary_unary(path)

    def body(number: int) -> bytes:
        made = traces(*({"trace_id": t, "span_id": s} for t, s in event_ids(number)))
        return bytes(made.SerializeToString())

    return Sender("spans", body, lambda body: _called(call, body, metadata()))


def records(channel: grpc.aio.Channel, metadata: Callable[[], list[tuple[str, str]]]) -> Sender:
    """OTLP log records of errors by gRPC, with the ids of `event_ids`."""
    path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
    call = channel.unary_unary(path)

    def body(number: int) -> bytes:
        error = {"body": "cannot reach the warehouse", "severity_number": 17}
        made = logs(*({**error, "trace_id": t, "span_id": s} for t, s in event_ids(number)))
        return bytes(made.SerializeToString())

    return Sender("records", body, lambda body: _called(call, body, metadata()))


def event_ids(number: int) -> list[tuple[bytes, bytes]]:
    """Trace and span ids of the events of a body."""
    places = range(number * SERIES, (number + 1) * SERIES)
    return [(place.to_bytes(16, "big"), place.to_bytes(8, "big")) for place in places]


async def _called(
    call: "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]",
    body: bytes,
    metadata: list[tuple[str, str]],
) -> bool:
    try:
        await call(body, metadata=metadata, timeout=_ANSWER_S)
    except grpc.aio.AioRpcError as error:
        if error.code() not in _RETRYABLE:
            raise
        return False
    return True


def _start_ms() -> int:
    return int(time.time() * 1000) - 3_600_000
