"""One stream of a sharded subscription: hold shards, deliver within credit, note acks."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Generic, TypeVar

from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import Conflict, InvalidInput, Unavailable
from mesh.redis import Streams
from services.ingest.long_stream import Put
from services.ingest.metrics import DELIVERED, GAPS, STREAM_LAG, shown
from services.ingest.model.samples import Stretch
from services.ingest.roads import Road
from services.ingest.store.leases import LeaseReplaced, LeaseStore, Membership
from services.ingest.store.log_reader import LogReader
from services.ingest.store.newest_heads import NewestHeads
from services.ingest.subscribe.credit import StreamCredit
from services.ingest.subscribe.frames import (
    Ack,
    Assignment,
    ConsumerFrame,
    Credit,
    Draining,
    Gap,
    Heartbeat,
    OpenSubscription,
    ServerFrame,
    ShardRelease,
    ShardStart,
)
from services.ingest.subscribe.held_shards import HeldShards
from services.ingest.subscribe.shaping import MOST_ROWS, Shapes, batches
from services.ingest.subscribe.shard_source import Source

_SAVE_EVERY_S: Final = 0.1
_IDLE_S: Final = 0.05
_SURE: Final = 0.8
"""Deliveries stop at this part of the lease's life, so that nobody else delivers meanwhile."""

S = TypeVar("S", bound=Stretch)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardParts(Generic[S]):
    """What the sessions of one kind share.

    Attributes:
        shapes: Makes what shapes deliveries of one stream.
    """

    leases: LeaseStore
    log: LogReader[S]
    streams: Streams
    road: Road[S]
    heads: NewestHeads
    shapes: Callable[[OpenSubscription], Shapes[S]]
    clock: Clock
    drain: Drain
    drain_grace_s: float


class ShardSession(Generic[S]):
    """From `open` to the end of one stream."""

    def __init__(
        self,
        parts: ShardParts[S],
        member: Membership,
        opened: OpenSubscription,
        put: Put[ServerFrame],
    ) -> None:
        """`member` has entered the subscription already."""
        self._parts = parts
        self._member = member
        self._opened = opened
        self._put = put
        self._purse = StreamCredit()
        self._purse.add(opened.credit)
        self._shards = HeldShards()
        self._shaper = parts.shapes(opened)
        self._source = Source(parts.streams, parts.road, parts.log, parts.heads, parts.clock)
        self._sure_until_s = 0.0
        self._acked = asyncio.Event()

    async def run(self, frames: AsyncIterator[ConsumerFrame]) -> None:
        """Returns when the consumer has half-closed, or after the grace of a drain."""
        works = (self._balance, self._deliver, self._beat, self._save)
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(work()) for work in works]
                reading = tasks.create_task(self._read(frames))
                running.append(tasks.create_task(self._stop(reading)))
                await asyncio.wait([reading])
                for task in running:
                    task.cancel()
        finally:
            await asyncio.shield(self._leave())

    async def _read(self, frames: AsyncIterator[ConsumerFrame]) -> None:
        async for frame in frames:
            match frame:
                case Credit():
                    self._purse.add(frame)
                case Ack(up_to=(shard, place)):
                    self._shards.ack(shard, place)
                    self._acked.set()
                case ShardStart():
                    self._shards.start(frame)
                case ShardRelease(shard, epoch):
                    await self._release(shard, epoch)
                case OpenSubscription():
                    message = "`open` comes once: open another stream"
                    raise InvalidInput(message, reason="OPEN_TWICE")

    async def _release(self, shard: int, epoch: int) -> None:
        if self._shards.is_held(shard, epoch):
            await self._save_now()
            self._forget(shard)
            await self._parts.leases.release(self._member, shard)

    def _forget(self, shard: int) -> None:
        self._shards.remove(shard)
        STREAM_LAG.remove(shown(self._member.subscription), str(shard))

    async def _balance(self) -> None:
        every_s = min(1.0, self._parts.leases.ttl_s / 5)
        while not self._parts.drain.started:
            try:
                await self._balance_once()
            except LeaseReplaced:
                raise
            except (Unavailable, Conflict):
                logger.warning("leases could not be renewed", extra={"member": self._member})
            await asyncio.sleep(every_s)

    async def _balance_once(self) -> None:
        asked_at_s = self._parts.clock.monotonic_s()
        done = await self._parts.leases.balance(self._member, self._shards.revoking)
        self._sure_until_s = asked_at_s + _SURE * self._parts.leases.ttl_s
        lost = self._shards.lost(done.held)
        for shard in (*lost, *self._shards.unknown(done.held)):
            await self._parts.leases.release(self._member, shard)
            self._forget(shard)
        self._shards.revoking.update(done.revoke)
        for held in done.taken:
            self._shards.add(held)
        if done.taken or lost or done.revoke:
            await self._put(Assignment(done.taken, [*done.revoke, *lost]))

    async def _deliver(self) -> None:
        while True:
            await self._purse.wait()
            places = self._shards.places()
            if not places or self._parts.clock.monotonic_s() > self._sure_until_s:
                await asyncio.sleep(_IDLE_S)
                continue
            try:
                found = await self._source.next(places)
            except Unavailable:
                await asyncio.sleep(_IDLE_S)
                continue
            for shard, part in groupby(found, key=lambda each: each.shard):
                await self._deliver_shard(shard, list(part))

    async def _deliver_shard(self, shard: int, found: Sequence[S | Gap]) -> None:
        segments: list[S] = []
        for each in found:
            if isinstance(each, Gap):
                await self._deliver_segments(shard, segments)
                await self._tell_gap(each)
                segments = []
            else:
                segments.append(each)
        await self._deliver_segments(shard, segments)

    async def _tell_gap(self, gap: Gap) -> None:
        if self._shards.place(gap.shard) == gap.after:
            GAPS.labels(shown(self._member.subscription)).inc()
            self._shards.skip(gap.shard, gap.resumes_after)
            await self._put(gap)

    async def _deliver_segments(self, shard: int, segments: Sequence[S]) -> None:
        most = max(1, min(MOST_ROWS, self._purse.samples))
        for segment in batches(segments, most, self._parts.road.join):
            await self._purse.wait()
            place = self._shards.place(shard)
            if place is None or not segment.previous <= place < segment.offset:
                return
            await self._send(segment)

    async def _send(self, segment: S) -> None:
        shaped = await self._shaper.shape(segment)
        if self._parts.clock.monotonic_s() > self._sure_until_s:
            return
        if self._shards.place(segment.shard) is None:
            return
        epoch = self._shards.epoch(segment.shard)
        self._shards.delivered(segment.shard, segment.offset, segment.total)
        self._purse.spend(shaped.rows, shaped.size_bytes)
        DELIVERED.labels(shown(self._member.subscription)).inc(shaped.rows)
        await self._put(shaped.delivery(epoch))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._opened.heartbeat_s)
            try:
                heads = await self._parts.heads.get()
            except Unavailable:
                await self._put(Heartbeat((), self._parts.clock.now_ms()))
                continue
            lags = self._shards.lags(heads)
            for lag in lags:
                STREAM_LAG.labels(shown(self._member.subscription), str(lag.shard)).set(lag.lag)
            await self._put(Heartbeat(lags, self._parts.clock.now_ms()))

    async def _save(self) -> None:
        while True:
            await self._acked.wait()
            await self._save_now()
            await asyncio.sleep(_SAVE_EVERY_S)

    async def _save_now(self) -> None:
        self._acked.clear()
        unsaved = self._shards.unsaved()
        if not unsaved:
            return
        try:
            await self._parts.leases.ack(self._member, unsaved)
        except BaseException as error:
            self._shards.restore(unsaved)
            self._acked.set()
            if not isinstance(error, Unavailable | Conflict):
                raise

    async def _stop(self, reading: "asyncio.Task[None]") -> None:
        await self._parts.drain.wait()
        await self._put(Draining(self._parts.drain_grace_s))
        await asyncio.sleep(self._parts.drain_grace_s)
        reading.cancel()

    async def _leave(self) -> None:
        try:
            await self._save_now()
            for shard in self._shards.all():
                self._forget(shard)
            await self._parts.leases.leave(self._member)
        except (Unavailable, Conflict):
            logger.warning("leases run out by themselves", extra={"member": self._member})
