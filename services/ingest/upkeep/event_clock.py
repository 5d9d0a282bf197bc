"""Lets the clock of the log of events go on in every shard: readers decide by it."""

import logging
from typing import Final

from mesh.clock import Clock
from mesh.errors import Conflict, Unavailable
from services.ingest.model.event_entry import EventSegment
from services.ingest.publisher import Publisher
from services.ingest.store.event_log import EventLog

_EVERY_S: Final = 1.0
_TICK_MS: Final = 5000

logger = logging.getLogger(__name__)


class EventClock:
    """A worker of every ingest process; the first one that finds it due ticks."""

    def __init__(self, log: EventLog, publisher: Publisher[EventSegment], clock: Clock) -> None:
        """Ticks go to `publisher` as all entries do."""
        self._log = log
        self._publisher = publisher
        self._clock = clock

    async def run(self) -> None:
        """Ticks for ever; a worker of the process."""
        while True:
            try:
                await self.tick()
            except (Unavailable, Conflict) as error:
                logger.info("the log of events does not tick", extra={"cause": error.message})
            await self._clock.sleep(_EVERY_S)

    async def tick(self) -> None:
        """One look."""
        if entries := await self._log.tick(self._clock.now_ms(), _TICK_MS):
            self._publisher.offer(entries)
