"""Keeps the index of the log's tail near its end, so that questions find little to catch up."""

import logging
from typing import Final

from mesh.clock import Clock
from mesh.errors import Conflict, Unavailable
from services.ingest.metrics import TAIL_INDEX_BYTES
from services.ingest.store.tail_index import TailIndex

_EVERY_S: Final = 5.0

logger = logging.getLogger(__name__)


class TailFollower:
    """A worker of every ingest process."""

    def __init__(self, index: TailIndex, clock: Clock) -> None:
        """Follows for `index`."""
        self._index = index
        self._clock = clock

    async def run(self) -> None:
        """Follows for ever; a worker of the process."""
        while True:
            try:
                TAIL_INDEX_BYTES.set((await self._index.tail()).size_bytes)
            except (Unavailable, Conflict) as error:
                logger.info("the log's tail is not followed", extra={"cause": error.message})
            await self._clock.sleep(_EVERY_S)
