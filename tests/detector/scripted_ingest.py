"""Ingest as far as a subscriber can tell: a log per shard, leases with epochs, credits, acks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from sensus.ingest.v1 import ingest_service_pb2_grpc
from tests.detector.signals import series_message

SERVICE = "sensus.ingest.v1.IngestService"
Frame = ingest_pb.SubscribeResponse


@dataclass(kw_only=True)
class Stream:
    """One open subscription."""

    opened: ingest_pb.SubscribeOpen
    outgoing: "asyncio.Queue[Frame | None]" = field(default_factory=asyncio.Queue)
    position_by_shard: dict[int, int] = field(default_factory=dict)
    epoch_by_shard: dict[int, int] = field(default_factory=dict)
    named: set[int] = field(default_factory=set)
    credit_samples: int = 0
    credit_bytes: int = 0
    least_credit_samples: int = 0
    released: list[tuple[int, int]] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class ScriptedIngest(ingest_service_pb2_grpc.IngestServiceServicer):
    """Gives every shard of `log_by_shard` to the newest stream, and delivers by credit."""

    def __init__(self) -> None:
        """Starts with no shards."""
        self.target = ""
        self.log_by_shard: dict[int, list[ingest_pb.SampleDelivery]] = {}
        self.acked_by_shard: dict[int, int] = {}
        self.epoch_by_shard: dict[int, int] = {}
        self.gap_by_shard: dict[int, ingest_pb.Gap] = {}
        self.streams: list[Stream] = []
        self.refusals: list[tuple[grpc.StatusCode, str]] = []
        self.heartbeat_interval = Duration(seconds=5)
        self.heartbeats = True
        self.reassigns = False
        self.metadata: list[ingest_pb.MetricMetadata] = []
        self.metadata_refusals: list[grpc.StatusCode] = []
        self.asked_since: list[Timestamp | None] = []
        self.changed = asyncio.Condition()

    @property
    def stream(self) -> Stream:
        """The newest stream."""
        return self.streams[-1]

    async def write(self, *frames: ingest_pb.SampleDelivery) -> None:
        """Appends to the log and delivers."""
        for frame in frames:
            self.log_by_shard.setdefault(frame.shard, []).append(frame)
        for stream in self.streams[-1:]:
            self._pump(stream)
        await self._tell()

    def assign(self, stream: Stream, shard: int, *, epoch: int | None = None) -> None:
        """Gives a shard to a stream under a new epoch."""
        self.epoch_by_shard[shard] = epoch or self.epoch_by_shard.get(shard, 0) + 1
        stream.epoch_by_shard[shard] = self.epoch_by_shard[shard]
        assigned = ingest_pb.AssignedShard(
            shard=shard,
            epoch=self.epoch_by_shard[shard],
            acked_cursor=self.acked_by_shard.get(shard, 0),
        )
        self.send(stream, assignment=ingest_pb.ShardAssignment(assigned=[assigned]))

    def revoke(self, stream: Stream, shard: int) -> None:
        """Asks for a shard back."""
        self.send(stream, assignment=ingest_pb.ShardAssignment(revoked=[shard]))

    def send(self, stream: Stream, **frame: Any) -> None:
        """Sends any frame."""
        stream.outgoing.put_nowait(Frame(**frame))

    async def until(self, condition: Any, timeout_s: float = 300.0) -> None:
        """Waits until something the subscriber did makes `condition()` true."""
        async with asyncio.timeout(timeout_s), self.changed:
            await self.changed.wait_for(condition)

    async def until_acked(self, shard: int = 0) -> None:
        """Waits until the whole log of the shard is acked."""
        head = self.log_by_shard[shard][-1].cursor
        await self.until(lambda: self.acked_by_shard.get(shard) == head)

    async def ListMetadata(
        self, request: ingest_pb.ListMetadataRequest, context: Any
    ) -> ingest_pb.ListMetadataResponse:
        """What is said of metrics, one a page."""
        if self.metadata_refusals:
            await context.abort(self.metadata_refusals.pop(0), "refused")
        first = int(request.page_token or 0)
        if not first:
            is_since = request.HasField("changed_since")
            self.asked_since.append(request.changed_since if is_since else None)
        more = str(first + 1) if first + 1 < len(self.metadata) else ""
        page = self.metadata[first : first + 1]
        return ingest_pb.ListMetadataResponse(metadata=page, next_page_token=more)

    async def Subscribe(
        self, request_iterator: AsyncIterator[ingest_pb.SubscribeRequest], context: Any
    ) -> AsyncIterator[Frame]:
        """Plays the server side of one stream."""
        if self.refusals:
            await context.abort(*self.refusals.pop(0))
        first = await anext(request_iterator)
        stream = Stream(opened=first.open)
        self._grant(stream, first.open.initial_credit)
        self.streams.append(stream)
        self.send(stream, opened=ingest_pb.SubscribeOpened(
            session_id=str(len(self.streams)), shard_count=max(1, len(self.log_by_shard)),
            heartbeat_interval=self.heartbeat_interval))  # fmt: skip
        for shard in sorted(self.log_by_shard):
            self.assign(stream, shard)
        listening = asyncio.create_task(self._listen(stream, request_iterator))
        beating = asyncio.create_task(self._beat(stream))
        try:
            while (frame := await stream.outgoing.get()) is not None:
                yield frame
        finally:
            listening.cancel()
            beating.cancel()
            stream.ended.set()
            await self._tell()

    async def _listen(self, stream: Stream, requests: AsyncIterator[Any]) -> None:
        with suppress(grpc.aio.UsageError, asyncio.CancelledError):
            async for request in requests:
                self._take(stream, request)
                self._pump(stream)
                await self._tell()
        stream.outgoing.put_nowait(None)

    def _take(self, stream: Stream, request: ingest_pb.SubscribeRequest) -> None:
        kind = request.WhichOneof("frame")
        if kind == "shard_start":
            self._start(stream, request.shard_start)
        elif kind == "shard_release":
            stream.released.append((request.shard_release.shard, request.shard_release.epoch))
            stream.position_by_shard.pop(request.shard_release.shard, None)
            if self.reassigns and request.shard_release.epoch == stream.epoch_by_shard.get(
                request.shard_release.shard
            ):
                self.assign(stream, request.shard_release.shard)
        elif kind == "credit":
            self._grant(stream, request.credit)
        elif kind == "ack":
            self.acked_by_shard[request.ack.up_to.shard] = request.ack.up_to.cursor

    def _start(self, stream: Stream, start: ingest_pb.ShardStart) -> None:
        if start.epoch != self.epoch_by_shard[start.shard]:
            return
        gap = self.gap_by_shard.get(start.shard)
        stream.position_by_shard[start.shard] = start.after_cursor
        if gap is not None and start.after_cursor < gap.resumes_after_cursor:
            self.send(stream, gap=gap)
            stream.position_by_shard[start.shard] = gap.resumes_after_cursor

    def _grant(self, stream: Stream, credit: ingest_pb.SubscribeCredit) -> None:
        stream.credit_samples += credit.samples
        stream.credit_bytes += credit.bytes

    def _pump(self, stream: Stream) -> None:
        for shard in list(stream.position_by_shard):
            for entry in self.log_by_shard.get(shard, []):
                if entry.cursor > stream.position_by_shard[shard]:
                    if stream.credit_samples <= 0 or stream.credit_bytes <= 0:
                        return
                    self._deliver(stream, shard, entry)

    def _deliver(self, stream: Stream, shard: int, entry: ingest_pb.SampleDelivery) -> None:
        frame = ingest_pb.SampleDelivery()
        frame.CopyFrom(entry)
        frame.epoch = stream.epoch_by_shard[shard]
        self._name_series(stream, frame)
        stream.position_by_shard[shard] = entry.cursor
        stream.credit_samples -= len(entry.values) // 8
        stream.credit_bytes -= 3 * len(frame.values) + 256 * len(frame.new_series)
        stream.least_credit_samples = min(stream.least_credit_samples, stream.credit_samples)
        self.send(stream, samples=frame)

    def _name_series(self, stream: Stream, frame: ingest_pb.SampleDelivery) -> None:
        import numpy as np

        for series_id in np.unique(np.frombuffer(frame.series_ids, dtype="<i8")).tolist():
            if series_id not in stream.named:
                stream.named.add(series_id)
                frame.new_series.append(series_message(series_id, frame.shard))

    async def _beat(self, stream: Stream) -> None:
        while True:
            await asyncio.sleep(0.2)
            if self.heartbeats:
                self.send(stream, heartbeat=ingest_pb.Heartbeat())

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def serving(scripted: ScriptedIngest) -> AsyncIterator[ScriptedIngest]:
    """Serves it on a free port, healthy."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    ingest_service_pb2_grpc.add_IngestServiceServicer_to_server(scripted, server)
    health = HealthServicer()
    await health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    add_HealthServicer_to_server(health, server)
    scripted.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield scripted
    finally:
        await server.stop(0)
        await asyncio.gather(*(stream.ended.wait() for stream in scripted.streams))
