"""The shards of one stream: claimed when assigned, worked on, released when asked back."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mesh.clients import backoff
from mesh.errors import Conflict, Unavailable
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from services.detector import metrics
from services.detector.consumer import frames
from services.detector.detectors.engine import Settings
from services.detector.model.checkpoints import Checkpoint, ShardLost
from services.detector.model.samples import Delivery, Labels
from services.detector.shards.credit import Amount, Credit
from services.detector.shards.scoring import ShardScorer
from services.detector.shards.shard import ShardWorker, Terms

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Held:
    shard: int
    epoch: int
    task: "asyncio.Task[None] | None" = None
    worker: ShardWorker | None = None
    acked: int = 0


class Holdings:
    """Owns one task per shard. A task that fails in an unforeseen way fails the stream."""

    def __init__(
        self,
        *,
        holder: str,
        terms: Terms,
        settings: Settings,
        credit: Credit,
        send: Callable[[ingest_pb.SubscribeRequest], None],
    ) -> None:
        """Holds nothing yet. `send` queues a frame and never blocks."""
        self._labels_by_id: dict[int, Labels] = {}
        self._named_by_shard = defaultdict[int, deque[tuple[int, Sequence[int]]]](deque)
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._holder = holder
        self._terms = terms
        self._settings = settings
        self._credit = credit
        self._send = send
        self._held_by_shard: dict[int, _Held] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def assign(self, shard: int, epoch: int) -> None:
        """Begins to hold a shard; a later epoch replaces an earlier one."""
        before = self._held_by_shard.get(shard)
        if before is not None:
            if before.epoch >= epoch:
                return
            self._drop(before)
        held = _Held(shard=shard, epoch=epoch)
        self._held_by_shard[shard] = held
        held.task = asyncio.create_task(self._hold(held), name=f"shard {shard}")
        self._tasks.add(held.task)
        held.task.add_done_callback(self._ended)
        metrics.SHARDS_HELD.set(len(self._held_by_shard))

    def revoke(self, shard: int) -> None:
        """Checkpoints the shard and gives it back."""
        held = self._held_by_shard.get(shard)
        if held is None:
            return
        if held.worker is not None:
            held.worker.stop()
        else:
            self._drop(held)
            self._send(frames.release(shard, held.epoch))

    def name(self, shard: int, cursor: int, labels_by_id: Mapping[int, Labels]) -> None:
        """Keeps the labels of series until the delivery that brings them is committed."""
        if labels_by_id:
            self._labels_by_id.update(labels_by_id)
            self._named_by_shard[shard].append((cursor, list(labels_by_id)))

    def deliver(self, delivery: Delivery) -> None:
        """Hands samples to their shard; those of a shard not held any more are let go."""
        amount = Amount(samples=len(delivery.samples), size_bytes=delivery.size_bytes)
        self._credit.take(amount)
        held = self._held_by_shard.get(delivery.shard)
        if held is None or held.worker is None or held.epoch != delivery.epoch:
            self._free(amount)
        else:
            held.worker.offer(delivery)

    def beat(self, shard: int, now_ms: int, lag_samples: int) -> None:
        """Ingest lives, and tells how far behind the shard is."""
        held = self._held_by_shard.get(shard)
        if held is not None and held.worker is not None:
            held.worker.beat(now_ms, lag_samples)

    def skip(self, shard: int, cursor: int) -> None:
        """Goes on after a gap in the log."""
        held = self._held_by_shard.get(shard)
        if held is not None and held.worker is not None:
            held.worker.skip_to(cursor)

    async def give_back(self) -> None:
        """Checkpoints and releases every shard."""
        for shard in list(self._held_by_shard):
            self.revoke(shard)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Drops every shard as it is."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._held_by_shard.clear()
        self._show()

    async def _hold(self, held: _Held) -> None:
        note = {"shard": held.shard, "epoch": held.epoch}
        try:
            worker = await self._open(held)
            logger.info("shard held", extra=note | {"cursor": held.acked})
            await worker.run()
            logger.info("shard released", extra=note | {"cursor": held.acked})
        except ShardLost as error:
            metrics.SHARDS_LOST.inc()
            logger.warning("shard lost", extra=note | {"cause": str(error)})
        self._drop(held)
        self._send(frames.release(held.shard, held.epoch))

    async def _open(self, held: _Held) -> ShardWorker:
        checkpoint = await self._claim(held)
        loop = asyncio.get_running_loop()
        scorer = await loop.run_in_executor(
            self._terms.pool, ShardScorer, checkpoint, self._settings
        )
        self._note_lost_states(held, scorer)
        held.acked = scorer.cursor
        held.worker = ShardWorker(
            scorer,
            shard=held.shard,
            terms=self._terms,
            credit=self._credit,
            labels_by_id=self._labels_by_id,
            committed=lambda cursor, free: self._committed(held, cursor, free),
            watched=checkpoint.watched,
        )
        self._send(frames.start(held.shard, held.epoch, scorer.cursor))
        return held.worker

    async def _claim(self, held: _Held) -> Checkpoint:
        async for _ in backoff():
            try:
                return await self._terms.store.claim(held.shard, held.epoch, self._holder)
            except (Unavailable, Conflict) as error:
                note = {"shard": held.shard, "cause": error.message}
                logger.warning("claim failed, trying again", extra=note)
        raise AssertionError("backoff never ends")

    def _note_lost_states(self, held: _Held, scorer: ShardScorer) -> None:
        if scorer.lost_states:
            metrics.STATES_LOST.inc(len(scorer.lost_states))
            note = {"shard": held.shard, "series": len(scorer.lost_states)}
            logger.error("stored states could not be read, these series start anew", extra=note)

    def _committed(self, held: _Held, cursor: int, free: Amount) -> None:
        if cursor != held.acked:
            held.acked = cursor
            self._send(frames.ack(held.shard, cursor))
            self._forget_names(held.shard, cursor)
        self._free(free)
        self._show()

    def _forget_names(self, shard: int, cursor: int) -> None:
        """What is committed the shard knows by itself."""
        named = self._named_by_shard[shard]
        while named and named[0][0] <= cursor:
            for series_id in named.popleft()[1]:
                self._labels_by_id.pop(series_id, None)

    def _free(self, amount: Amount) -> None:
        if amount.samples or amount.size_bytes:
            self._credit.give_back(amount)
            self._send(frames.credit(amount))

    def _drop(self, held: _Held) -> None:
        if self._held_by_shard.get(held.shard) is held:
            del self._held_by_shard[held.shard]
        if held.worker is not None:
            self._free(held.worker.abandon())
        if held.task is not None and held.task is not asyncio.current_task():
            held.task.cancel()
        self._show()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None and not self.failed.done():
            self.failed.set_exception(task.exception())  # type: ignore[arg-type]

    def _show(self) -> None:
        workers = [each.worker for each in self._held_by_shard.values() if each.worker]
        metrics.SHARDS_HELD.set(len(self._held_by_shard))
        metrics.SERIES.set(sum(worker.series_count for worker in workers))
        metrics.WARM_SERIES.set(sum(worker.warm_series_count for worker in workers))
