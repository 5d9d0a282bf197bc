"""Commits of samples, many batches together."""

import time
from collections.abc import Sequence

from mesh.clock import Clock
from services.ingest.metrics import COMMIT_DURATION, COMMIT_GROUP, COMMIT_WAITING
from services.ingest.model.batch import Batch, Outcome
from services.ingest.model.samples import Segment
from services.ingest.publisher import Publisher
from services.ingest.store.log import Log
from services.ingest.store.series_cache import SeriesCache
from services.ingest.write.group_commit import GroupCommit
from services.ingest.write.turns import in_parts


class Committer:
    """Commits batches one group at a time and answers each sender after its commit."""

    def __init__(
        self, log: Log, series_cache: SeriesCache, publisher: Publisher[Segment], clock: Clock
    ) -> None:
        """Committed groups go to `publisher`."""
        self._log = log
        self._series_cache = series_cache
        self._publisher = publisher
        self._clock = clock
        groups = GroupCommit[Batch, Outcome](
            self._append, rows=lambda batch: len(batch.slots), waiting=COMMIT_WAITING
        )
        self.commit, self.run = groups.commit, groups.run

    async def _append(self, batches: Sequence[Batch]) -> Sequence[Outcome]:
        started_s = time.perf_counter()
        for batch in batches:
            async for slots in in_parts(batch.table.unresolved(batch.slots)):
                self._series_cache.fill(batch.table, slots)
        appended = await self._log.append(batches, self._clock.now_ms())
        COMMIT_DURATION.observe(time.perf_counter() - started_s)
        COMMIT_GROUP.observe(len(batches))
        self._series_cache.add(appended.registered)
        if appended.entries:
            self._publisher.offer(appended.entries)
        return appended.outcomes
