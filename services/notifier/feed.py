"""The routing that holds, followed in the store while the process runs."""

import asyncio
import logging

from mesh.clock import Clock
from mesh.errors import SensusError
from services.notifier.routing.document import read
from services.notifier.routing.tree import Routing
from services.notifier.store import Routings

_LOOK_EVERY_S = 1.0

logger = logging.getLogger(__name__)


class RoutingFeed:
    """The newest routing, at most a second old."""

    def __init__(self, routings: Routings, clock: Clock) -> None:
        """Tells nobody until the first `refresh`."""
        self._routings = routings
        self._clock = clock
        self._turn = asyncio.Lock()
        self.version = 0
        self.routing = Routing()

    async def refresh(self) -> None:
        """Reads it again when there is another version."""
        async with self._turn:  # so that what was read before never replaces what was read after
            stored = await self._routings.newest()
            if stored.version == self.version:
                return
            routing, faults = await asyncio.to_thread(read, stored.yaml)
            for path, should in faults.found:
                # it was checked when it was put, perhaps by an older version of the product
                logger.warning("fault in the routing", extra={"path": path, "should": should})
            self.version, self.routing = stored.version, routing
            logger.info("routing holds", extra={"version": stored.version})

    async def run(self) -> None:
        """Follows for ever; while the database is away the last routing holds."""
        while True:
            await self._clock.sleep(_LOOK_EVERY_S)
            try:
                await self.refresh()
            except SensusError as error:
                logger.info("routing not read again", extra={"cause": error.message})
