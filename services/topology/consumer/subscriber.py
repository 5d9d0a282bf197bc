"""Topology's side of a stream: shards opened at their last checkpoint."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from mesh.clients import backoff
from mesh.errors import Conflict, Unavailable
from mesh.subscription import Committed, Credit
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.topology import metrics
from services.topology.consumer import frames
from services.topology.model.checkpoints import Checkpoint
from services.topology.model.deliveries import Delivery
from services.topology.shards.counting import ShardCounter
from services.topology.shards.shard import ShardContext, ShardWorker

SUBSCRIPTION: Final = "topology"

logger = logging.getLogger(__name__)


class TopologySubscriber:
    """Holds nothing but its terms: a delivery of events is complete by itself."""

    subscription = SUBSCRIPTION
    topic = pb.TOPIC_EVENTS

    def __init__(self, terms: ShardContext, *, settle_s: int, longest_s: int) -> None:
        """A trace settles `settle_s` after its last event, or `longest_s` after its first."""
        self._terms = terms
        self._settle_s = settle_s
        self._longest_s = longest_s

    def delivery(self, frame: pb.SubscribeResponse) -> Delivery | None:
        """The events of a frame.

        Raises:
            Unavailable: The rows are cut; a new stream may do better.
        """
        return frames.delivery(frame.events)

    async def open(
        self, shard: int, epoch: int, holder: str, credit: Credit, committed: Committed
    ) -> ShardWorker:
        """Claims a shard and restores what it had counted."""
        checkpoint = await self._claim(shard, epoch, holder)

        def restored() -> ShardCounter:
            return ShardCounter(checkpoint, settle_s=self._settle_s, longest_s=self._longest_s)

        counting = await asyncio.get_running_loop().run_in_executor(self._terms.pool, restored)
        return ShardWorker(
            counting, shard=shard, terms=self._terms, credit=credit, committed=committed
        )

    def acked(self, shard: int, cursor: int) -> None:
        """Nothing is kept beside the shards."""

    def show(self, held: int, workers: Sequence[ShardWorker]) -> None:
        """In the metrics."""
        metrics.SHARDS_HELD.set(held)
        metrics.UNSETTLED.set(sum(worker.unsettled for worker in workers))

    def show_lag(self, rows: int) -> None:
        """In the metrics."""
        metrics.LAG.set(rows)

    def show_lost(self) -> None:
        """In the metrics."""
        metrics.SHARDS_LOST.inc()

    def show_gap(self, shard: int) -> None:
        """In the metrics."""
        metrics.GAPS.inc()

    async def _claim(self, shard: int, epoch: int, holder: str) -> Checkpoint:
        async for _ in backoff():
            try:
                return await self._terms.store.claim(shard, epoch, holder)
            except (Unavailable, Conflict) as error:
                note = {"shard": shard, "cause": error.message}
                logger.warning("claim failed, trying again", extra=note)
        raise AssertionError("backoff never ends")
