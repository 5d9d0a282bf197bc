"""The state of the installation, from what every detector last checkpointed."""

from typing import TYPE_CHECKING, Final

import asyncpg

from mesh.postgres import guard
from services.detector.detectors.engine import FEATURES
from services.detector.model.budget import UNLIMITED, Budget
from services.detector.model.checkpoints import ShardPlace
from services.detector.model.models import Status
from services.detector.model.samples import Labels
from services.detector.store.purses import allowed

if TYPE_CHECKING:
    from mesh.postgres import Pool

_SHARDS: Final = """
SELECT shard, holder, cursor, checkpoint_time, processed_samples, collected_samples,
    series_count, warm_series_count
FROM detector.shard ORDER BY shard
"""
_MODEL: Final = """
SELECT version, created_at FROM detector.model WHERE active AND feature_names = $1
"""
_LABELS: Final = """
SELECT labels FROM detector.series
WHERE shard IN (SELECT shard FROM detector.shard) AND series_id = $1 LIMIT 1
"""


class StatusStore:
    """Answers for all detectors, whichever process is asked."""

    def __init__(self, pool: "Pool", budget: Budget = UNLIMITED) -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool
        self._budget = budget

    async def labels_of(self, series_id: int) -> Labels | None:
        """The labels of a series that any shard knows."""
        with guard("series_labels"):
            labels: Labels | None = await self._pool.fetchval(_LABELS, series_id)
        return labels

    async def status(self) -> Status:
        """All shards and the active model."""
        with guard("detector_status"):
            shards = await self._pool.fetch(_SHARDS)
            model = await self._pool.fetchrow(_MODEL, list(FEATURES))
            async with self._pool.acquire() as connection:
                left = await allowed(connection, self._budget)
        return Status(
            model_version=model["version"] if model else 0,
            model_train_time=model["created_at"] if model else None,
            collected_samples=sum(row["collected_samples"] for row in shards),
            processed_samples=sum(row["processed_samples"] for row in shards),
            series_count=sum(row["series_count"] for row in shards),
            warm_series_count=sum(row["warm_series_count"] for row in shards),
            shards=[_place(row) for row in shards],
            budgets=left,
        )


def _place(row: asyncpg.Record) -> ShardPlace:
    return ShardPlace(
        shard=row["shard"],
        holder=row["holder"],
        cursor=row["cursor"],
        checkpoint_time=row["checkpoint_time"],
    )
