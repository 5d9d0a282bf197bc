"""Commits of events, many bodies together, and the ticks of their log."""

import time
from collections.abc import Sequence

from mesh.clock import Clock
from services.ingest.metrics import EVENT_COMMIT_DURATION, EVENT_COMMIT_WAITING
from services.ingest.model.event_entry import EventSegment
from services.ingest.model.events import EventBatch
from services.ingest.publisher import Publisher
from services.ingest.store.event_log import EventLog
from services.ingest.write.group_commit import GroupCommit


class EventCommitter:
    """Commits bodies one group at a time; says of each whether it had come before."""

    def __init__(self, log: EventLog, publisher: Publisher[EventSegment], clock: Clock) -> None:
        """Committed groups go to `publisher`."""
        self._log = log
        self._publisher = publisher
        self._clock = clock
        groups = GroupCommit[EventBatch, bool](
            self._append, rows=lambda batch: len(batch.rows), waiting=EVENT_COMMIT_WAITING
        )
        self.commit, self.run = groups.commit, groups.run

    async def _append(self, group: Sequence[EventBatch]) -> Sequence[bool]:
        started_s = time.perf_counter()
        appended = await self._log.append(group, self._clock.now_ms())
        EVENT_COMMIT_DURATION.observe(time.perf_counter() - started_s)
        if appended.entries:
            self._publisher.offer(appended.entries)
        return appended.repeated
