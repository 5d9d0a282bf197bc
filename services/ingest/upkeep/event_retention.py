"""Makes the next partitions of the log of events and drops the old ones, read or not."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from mesh.clock import Clock
from mesh.errors import Conflict, Unavailable
from services.ingest.metrics import PARTITIONS_DROPPED
from services.ingest.store.event_log import SLICE_S, next_slices
from services.ingest.store.event_partitions import EventPartitionStore

_EVERY_S: Final = 60.0

logger = logging.getLogger(__name__)


class EventRetention:
    """A worker of every ingest process; they may all run at once."""

    def __init__(
        self, partitions: EventPartitionStore, clock: Clock, *, retention_s: float
    ) -> None:
        """Events are kept at least `retention_s`, and up to ten minutes more."""
        self._partitions = partitions
        self._clock = clock
        self._kept = timedelta(seconds=retention_s + SLICE_S)

    async def run(self) -> None:
        """Keeps house for ever; a worker of the process."""
        while True:
            try:
                await self.tidy()
            except (Unavailable, Conflict) as error:
                logger.info("partitions of events stay", extra={"cause": error.message})
            await self._clock.sleep(_EVERY_S)

    async def tidy(self) -> None:
        """One round."""
        now_ms = self._clock.now_ms()
        await self._partitions.make(next_slices(now_ms))
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        for begins in await self._partitions.begins():
            if begins < now - self._kept:
                await self._partitions.drop(begins)
                PARTITIONS_DROPPED.labels("event_batch").inc()
