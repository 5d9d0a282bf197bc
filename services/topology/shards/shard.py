"""One held shard: deliveries in, counts off the event loop, checkpoints out."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import SpanKind

from mesh.clients import backoff
from mesh.clock import Clock
from mesh.errors import Conflict, Unavailable
from mesh.subscription import Amount, Committed, Credit
from mesh.telemetry import span
from services.topology import metrics
from services.topology.model.checkpoints import Changes
from services.topology.model.deliveries import Delivery, by_second
from services.topology.shards.counting import ShardCounter
from services.topology.store.checkpoints import CheckpointStore
from services.topology.store.names import NameStore

_AT_ONCE: Final = 256
"""Deliveries that are counted in one go."""
_GATHER_S: Final = 1.0
"""A shard waits at most so long for more: many small deliveries cost more than one large one."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardContext:
    """What all shards of a process share.

    Attributes:
        pool: Where counting runs.
        checkpoint_interval_s: Between two commits of a shard.
    """

    store: CheckpointStore
    names: NameStore
    pool: Executor
    clock: Clock
    checkpoint_interval_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Skip:
    """History that is gone: what comes next follows `cursor`."""

    cursor: int


class ShardWorker:
    """Processes one shard until it is asked to stop."""

    def __init__(
        self,
        counting: ShardCounter,
        *,
        shard: int,
        terms: ShardContext,
        credit: Credit,
        committed: Committed,
    ) -> None:
        """Starts with nothing to do, at the place of the last checkpoint."""
        self._counting = counting
        self._shard = shard
        self._terms = terms
        self._credit = credit
        self._committed = committed
        self._waiting: deque[Delivery | _Skip] = deque()
        self._woken = asyncio.Event()
        self._stopping = False
        self._held = Amount()
        self._checkpoint_s = terms.clock.monotonic_s()

    @property
    def cursor(self) -> int:
        """The place in the log up to which all is counted."""
        return self._counting.cursor

    @property
    def unsettled(self) -> int:
        """Events of traces that are not settled."""
        return self._counting.waiting

    def offer(self, delivery: Delivery) -> None:
        """Queues a delivery; the credit of the stream bounds the queue."""
        self._waiting.append(delivery)
        self._woken.set()

    def skip_to(self, cursor: int) -> None:
        """Queues a gap in the log."""
        self._waiting.append(_Skip(cursor=cursor))
        self._woken.set()

    def beat(self, now_ms: int, lag: int) -> None:
        """Nothing follows from it: the clock is that of the log."""

    def stop(self) -> None:
        """Ends `run` after a last checkpoint; what still waits is left to the next holder."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Works until `stop`.

        Raises:
            ShardLost: Another holder has the shard; nothing may be written any more.
        """
        while not self._stopping:
            await self._wait()
            await self._work()
        await self._checkpoint()

    def abandon(self) -> Amount:
        """Lets go of what was delivered and is not committed; tells how much that was."""
        free, self._held = self._held, Amount()
        for each in self._waiting:
            if isinstance(each, Delivery):
                free.add(each.amount)
        self._waiting.clear()
        return free

    async def _wait(self) -> None:
        if not self._waiting:
            due_s = self._checkpoint_s + self._terms.checkpoint_interval_s
            left_s = due_s - self._terms.clock.monotonic_s() if self._counting.is_dirty else None
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._woken.wait()
            if self._waiting and not self._stopping and not self._credit.half_used:
                await self._terms.clock.sleep(min(_GATHER_S, self._terms.checkpoint_interval_s))
        self._woken.clear()

    async def _work(self) -> None:
        if self._waiting and isinstance(first := self._waiting[0], _Skip):
            self._waiting.popleft()
            self._counting.skip_to(first.cursor)
        elif batch := self._take():
            await self._count(batch)
        if self._is_checkpoint_due():
            await self._checkpoint()

    def _take(self) -> list[Delivery]:
        """The next deliveries; those seen before are let go."""
        batch, cursor = list[Delivery](), self._counting.cursor
        while self._waiting and len(batch) < _AT_ONCE:
            delivery = self._waiting[0]
            if isinstance(delivery, _Skip):
                break
            self._waiting.popleft()
            self._held.add(delivery.amount)
            if delivery.cursor > cursor:
                batch.append(delivery)
                cursor = delivery.cursor
        return batch

    async def _count(self, batch: Sequence[Delivery]) -> None:
        links = [each for delivery in batch for each in delivery.traceparents]
        rows = sum(len(each.events) for each in batch)
        for delivery in batch:
            self._terms.names.offer(delivery.names, delivery.commit_s)

        def count() -> None:
            for delivery in by_second(batch):
                self._counting.take(delivery)

        loop = asyncio.get_running_loop()
        started_s = self._terms.clock.monotonic_s()
        attributes = {"sensus.shard": self._shard, "messaging.batch.message_count": rows}
        with span("count events", kind=SpanKind.CONSUMER, links=links, attributes=attributes):
            await loop.run_in_executor(self._terms.pool, count)
        metrics.COUNT_DURATION.observe(self._terms.clock.monotonic_s() - started_s)
        metrics.EVENTS.inc(rows)

    def _is_checkpoint_due(self) -> bool:
        waited_s = self._terms.clock.monotonic_s() - self._checkpoint_s
        return waited_s >= self._terms.checkpoint_interval_s or self._credit.half_used

    async def _checkpoint(self) -> None:
        if self._counting.is_dirty:
            loop = asyncio.get_running_loop()
            changes = await loop.run_in_executor(self._terms.pool, self._counting.changes)
            await self._commit(changes)
            self._counting.committed(changes)
            metrics.MINUTES.inc(len(changes.final_minutes))
        self._checkpoint_s = self._terms.clock.monotonic_s()
        free, self._held = self._held, Amount()
        self._committed(self._counting.cursor, free)

    async def _commit(self, changes: Changes) -> None:
        """Tries until it is stored: nothing goes on without it, and credit runs dry meanwhile."""
        async for _ in backoff():
            started_s = self._terms.clock.monotonic_s()
            try:
                await self._terms.names.flush()
                await self._terms.store.commit(changes)
            except (Unavailable, Conflict) as error:
                metrics.CHECKPOINTS_FAILED.inc()
                note = {"shard": self._shard, "cause": error.message}
                logger.warning("checkpoint failed, trying again", extra=note)
            else:
                metrics.CHECKPOINT_DURATION.observe(self._terms.clock.monotonic_s() - started_s)
                return
