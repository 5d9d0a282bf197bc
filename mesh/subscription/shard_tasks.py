"""The shards of one stream: claimed when assigned, worked on, released when asked back."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from mesh.subscription import frames
from mesh.subscription.credit import Amount, Credit
from mesh.subscription.subscriber import Delivery, ShardLost, ShardWorker, Subscriber
from sensus.ingest.v1 import ingest_service_pb2 as pb

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _ShardTask:
    shard: int
    epoch: int
    task: "asyncio.Task[None] | None" = None
    worker: ShardWorker | None = None
    acked: int = 0


class ShardTasks:
    """Owns one task per shard. A task that fails in an unforeseen way fails the stream."""

    def __init__(
        self,
        subscriber: Subscriber,
        *,
        holder: str,
        credit: Credit,
        send: Callable[[pb.SubscribeRequest], None],
    ) -> None:
        """Holds nothing yet. `send` queues a frame and never blocks."""
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._subscriber = subscriber
        self._holder = holder
        self._credit = credit
        self._send = send
        self._held_by_shard: dict[int, _ShardTask] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def assign(self, shard: int, epoch: int) -> None:
        """Begins to hold a shard; a later epoch replaces an earlier one."""
        before = self._held_by_shard.get(shard)
        if before is not None:
            if before.epoch >= epoch:
                return
            self._drop(before)
        held = _ShardTask(shard=shard, epoch=epoch)
        self._held_by_shard[shard] = held
        held.task = asyncio.create_task(self._hold(held), name=f"shard {shard}")
        self._tasks.add(held.task)
        held.task.add_done_callback(self._ended)
        self._show()

    def revoke(self, shard: int) -> None:
        """Commits what was done of the shard and gives it back."""
        held = self._held_by_shard.get(shard)
        if held is None:
            return
        if held.worker is not None:
            held.worker.stop()
        else:
            self._drop(held)
            self._send(frames.release(shard, held.epoch))

    def deliver(self, delivery: Delivery) -> None:
        """Hands rows to their shard; those of a shard not held any more are let go."""
        self._credit.take(delivery.amount)
        held = self._held_by_shard.get(delivery.shard)
        if held is None or held.worker is None or held.epoch != delivery.epoch:
            self._free(delivery.amount)
        else:
            held.worker.offer(delivery)

    def beat(self, shard: int, now_ms: int, lag: int) -> None:
        """Ingest lives, and tells how far behind the shard is."""
        held = self._held_by_shard.get(shard)
        if held is not None and held.worker is not None:
            held.worker.beat(now_ms, lag)

    def skip(self, shard: int, cursor: int) -> None:
        """Goes on after a gap in the log."""
        held = self._held_by_shard.get(shard)
        if held is not None and held.worker is not None:
            held.worker.skip_to(cursor)

    async def give_back(self) -> None:
        """Commits and releases every shard."""
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

    async def _hold(self, held: _ShardTask) -> None:
        note = {"shard": held.shard, "epoch": held.epoch}
        try:
            worker = await self._open(held)
            logger.info("shard held", extra=note | {"cursor": held.acked})
            await worker.run()
            logger.info("shard released", extra=note | {"cursor": held.acked})
        except ShardLost as error:
            self._subscriber.show_lost()
            logger.warning("shard lost", extra=note | {"cause": str(error)})
        self._drop(held)
        self._send(frames.release(held.shard, held.epoch))

    async def _open(self, held: _ShardTask) -> ShardWorker:
        held.worker = await self._subscriber.open(
            held.shard,
            held.epoch,
            self._holder,
            self._credit,
            lambda cursor, free: self._committed(held, cursor, free),
        )
        held.acked = held.worker.cursor
        self._send(frames.start(held.shard, held.epoch, held.acked))
        return held.worker

    def _committed(self, held: _ShardTask, cursor: int, free: Amount) -> None:
        if cursor != held.acked:
            held.acked = cursor
            self._send(frames.ack(held.shard, cursor))
            self._subscriber.acked(held.shard, cursor)
        self._free(free)
        self._show()

    def _free(self, amount: Amount) -> None:
        if amount.rows or amount.size_bytes:
            self._credit.give_back(amount)
            self._send(frames.credit(amount))

    def _drop(self, held: _ShardTask) -> None:
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
        self._subscriber.show(len(self._held_by_shard), workers)
