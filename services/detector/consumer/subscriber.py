"""The detector's side of one stream: labels kept, shards opened at their last checkpoint."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Final

from mesh.clients import backoff
from mesh.errors import Conflict, Unavailable
from mesh.subscription import Committed, Credit
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from services.detector import metrics
from services.detector.consumer import frames
from services.detector.detectors.engine import Settings
from services.detector.model.checkpoints import Checkpoint
from services.detector.model.samples import Delivery, Labels
from services.detector.shards.scoring import ShardScorer
from services.detector.shards.shard import ShardContext, ShardWorker

SUBSCRIPTION: Final = "detector"

logger = logging.getLogger(__name__)


class DetectorSubscriber:
    """Names that a stream has told are its own: each stream has one of these."""

    subscription = SUBSCRIPTION
    topic = ingest_pb.TOPIC_SAMPLES

    def __init__(self, terms: ShardContext, settings: Settings) -> None:
        """Knows no series yet."""
        self._terms = terms
        self._settings = settings
        self._labels_by_id: dict[int, Labels] = {}
        self._named_by_shard = defaultdict[int, deque[tuple[int, Sequence[int]]]](deque)

    def delivery(self, frame: ingest_pb.SubscribeResponse) -> Delivery | None:
        """Keeps the labels of series until the delivery that brings them is committed.

        Raises:
            Unavailable: The columns are not of equal length; a new stream may do better.
        """
        samples = frame.samples
        named = {series.series_id: frames.labels(series) for series in samples.new_series}
        if named:
            self._labels_by_id.update(named)
            self._named_by_shard[samples.shard].append((samples.cursor, list(named)))
        return frames.delivery(samples)

    async def open(
        self, shard: int, epoch: int, holder: str, credit: Credit, committed: Committed
    ) -> ShardWorker:
        """Claims a shard and restores its engine."""
        checkpoint = await self._claim(shard, epoch, holder)
        loop = asyncio.get_running_loop()
        scorer = await loop.run_in_executor(
            self._terms.pool, ShardScorer, checkpoint, self._settings
        )
        self._note_lost_states(shard, scorer)
        return ShardWorker(
            scorer,
            shard=shard,
            terms=self._terms,
            credit=credit,
            labels_by_id=self._labels_by_id,
            committed=committed,
            watched=checkpoint.watched,
        )

    def acked(self, shard: int, cursor: int) -> None:
        """Forgets labels: what is committed the shard knows by itself."""
        named = self._named_by_shard[shard]
        while named and named[0][0] <= cursor:
            for series_id in named.popleft()[1]:
                self._labels_by_id.pop(series_id, None)

    def show(self, held: int, workers: Sequence[ShardWorker]) -> None:
        """In the metrics."""
        metrics.SHARDS_HELD.set(held)
        metrics.SERIES.set(sum(worker.series_count for worker in workers))
        metrics.WARM_SERIES.set(sum(worker.warm_series_count for worker in workers))

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

    def _note_lost_states(self, shard: int, scorer: ShardScorer) -> None:
        if scorer.lost_states:
            metrics.STATES_LOST.inc(len(scorer.lost_states))
            note = {"shard": shard, "series": len(scorer.lost_states)}
            logger.error("stored states could not be read, these series start anew", extra=note)
