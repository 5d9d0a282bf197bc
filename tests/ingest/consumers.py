"""A consumer of a samples subscription, as a detector would be one."""

import struct
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.harness import Running, Stream, opened

PLENTY = 1_000_000


def samples_open(
    consumer: str = "c1", *, subscription: str = "detector", credit: int = PLENTY, **more: Any
) -> pb.SubscribeRequest:
    """Opens the samples of a subscription."""
    open_ = pb.SubscribeOpen(
        subscription=subscription,
        consumer_id=consumer,
        topic=pb.TOPIC_SAMPLES,
        mode=pb.SUBSCRIPTION_MODE_SHARDED,
        initial_credit=pb.SubscribeCredit(samples=credit),
        **more,
    )
    open_.heartbeat_interval.FromSeconds(1)
    return pb.SubscribeRequest(open=open_)


def alerts_open(
    consumer: str = "c1",
    *,
    subscription: str = "explainer",
    credit: int = PLENTY,
    deadline_s: int = 600,
    **more: Any,
) -> pb.SubscribeRequest:
    """Opens the alerts of a subscription; what is not acked comes again after `deadline_s`."""
    open_ = pb.SubscribeOpen(
        subscription=subscription,
        consumer_id=consumer,
        topic=pb.TOPIC_ALERTS,
        mode=pb.SUBSCRIPTION_MODE_SHARED,
        initial_credit=pb.SubscribeCredit(samples=credit),
        **more,
    )
    open_.heartbeat_interval.FromSeconds(1)
    open_.ack_deadline.FromSeconds(deadline_s)
    return pb.SubscribeRequest(open=open_)


def rows_of(delivery: pb.SampleDelivery) -> list[tuple[int, int, float]]:
    """Series id, time and value of each row."""
    count = len(delivery.values) // 8
    return list(
        zip(
            struct.unpack(f"<{count}q", delivery.series_ids),
            struct.unpack(f"<{count}q", delivery.timestamps_ms),
            struct.unpack(f"<{count}d", delivery.values),
            strict=True,
        )
    )


class Consumer:
    """Holds what it is given, in order, and says so."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.epochs: dict[int, int] = {}
        self.released: list[int] = []
        self.cursors: dict[int, int] = {}
        self.rows: dict[int, list[tuple[int, float]]] = defaultdict(list)
        self.gaps: list[pb.Gap] = []
        self.deliveries: list[pb.SampleDelivery] = []
        self.hosts: dict[int, str] = {}

    @property
    def count(self) -> int:
        """Samples seen."""
        return sum(map(len, self.rows.values()))

    async def step(self, timeout_s: float = 300.0, *, ack: bool = True) -> pb.SubscribeResponse:
        """Takes one frame and answers as a good consumer does."""
        frame = await self.stream.next(timeout_s=timeout_s)
        if frame is None:
            return None
        match frame.WhichOneof("frame"):
            case "assignment":
                await self._assign(frame.assignment)
            case "samples":
                await self._take(frame.samples, ack)
            case "gap":
                self.gaps.append(frame.gap)
                self.cursors[frame.gap.shard] = frame.gap.resumes_after_cursor
        return frame

    async def until_count(self, count: int, *, ack: bool = True) -> None:
        """Steps until so many samples came."""
        while self.count < count:
            await self.step(ack=ack)

    async def until_shards(self, count: int) -> None:
        """Steps until it holds so many shards."""
        while len(self.epochs) != count:
            await self.step()

    async def start(self, shard: int, after: int | None = None) -> None:
        """Begins a shard."""
        start = pb.ShardStart(shard=shard, epoch=self.epochs[shard], after_cursor=after)
        await self.stream.send(pb.SubscribeRequest(shard_start=start))

    async def credit(self, samples: int, size: int = 0) -> None:
        """Gives more credit."""
        credit = pb.SubscribeCredit(samples=samples, bytes=size)
        await self.stream.send(pb.SubscribeRequest(credit=credit))

    async def ack(self, shard: int, cursor: int) -> None:
        """Acks a shard up to a cursor."""
        up_to = pb.ShardCursor(shard=shard, cursor=cursor)
        await self.stream.send(pb.SubscribeRequest(ack=pb.SubscribeAck(up_to=up_to)))

    async def finish(self) -> None:
        """Half-closes and waits for the end."""
        await self.stream.call.done_writing()
        while await self.stream.next() is not None:
            pass

    async def _assign(self, assignment: pb.ShardAssignment) -> None:
        for each in assignment.assigned:
            self.epochs[each.shard] = each.epoch
            self.cursors[each.shard] = each.acked_cursor
            await self.start(each.shard)
        for shard in assignment.revoked:
            epoch = self.epochs.pop(shard, None)
            if epoch is not None:
                self.released.append(shard)
                release = pb.ShardRelease(shard=shard, epoch=epoch)
                await self.stream.send(pb.SubscribeRequest(shard_release=release))

    async def _take(self, delivery: pb.SampleDelivery, ack: bool) -> None:
        assert delivery.cursor > self.cursors[delivery.shard]
        assert delivery.epoch == self.epochs[delivery.shard]
        self.cursors[delivery.shard] = delivery.cursor
        self.deliveries.append(delivery)
        for series in delivery.new_series:
            assert series.series_id not in self.hosts
            self.hosts[series.series_id] = next(
                each.value for each in series.labels if each.name == "host"
            )
        for series_id, time, value in rows_of(delivery):
            self.rows[series_id].append((time, value))
        if ack:
            await self.ack(delivery.shard, delivery.cursor)


@asynccontextmanager
async def consuming(service: Running, first: pb.SubscribeRequest) -> AsyncIterator[Consumer]:
    """A consumer whose stream is open."""
    async with opened(service.stub.Subscribe, first) as stream:
        await stream.next("opened")
        yield Consumer(stream)
