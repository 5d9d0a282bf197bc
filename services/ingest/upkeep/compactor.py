"""Moves what has cooled down from the log into hourly chunks."""

import logging
from typing import Final

from mesh.clock import Clock
from mesh.errors import Conflict, Unavailable
from services.ingest.metrics import COMPACTED, COMPACTION_BEHIND
from services.ingest.store.chunks import ChunkStore

_EVERY_S: Final = 300.0

logger = logging.getLogger(__name__)


class Compactor:
    """A worker of every ingest process, of which one at a time does the work."""

    def __init__(
        self, chunks: ChunkStore, clock: Clock, *, after_ms: int, retention_ms: int
    ) -> None:
        """Batches move `after_ms` after they were received."""
        self._chunks = chunks
        self._clock = clock
        self._after_ms = after_ms
        self._retention_ms = retention_ms

    async def run(self) -> None:
        """Compacts for ever; a worker of the process."""
        while True:
            try:
                await self.compact()
            except (Unavailable, Conflict) as error:
                logger.info("not compacted", extra={"cause": error.message})
            await self._clock.sleep(_EVERY_S)

    async def compact(self) -> int:
        """Moves all that is old enough; how many samples those were."""
        now_ms = self._clock.now_ms()
        moved, more = 0, True
        while more:
            step = await self._chunks.compact(now_ms - self._after_ms, now_ms - self._retention_ms)
            moved, more = moved + step.samples, step.more
            COMPACTED.inc(step.samples)
        COMPACTION_BEHIND.set(await self._chunks.behind())
        return moved
