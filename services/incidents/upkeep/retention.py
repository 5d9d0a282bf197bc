"""Lets go of what is old enough: whole incidents, so that each log stays whole or goes."""

import logging
from typing import Final

from mesh.clock import Clock
from mesh.errors import Conflict, Unavailable
from services.incidents import metrics
from services.incidents.store.retention import RetentionStore

_EVERY_S: Final = 600.0
_AT_ONCE: Final = 200
_DAY_MS: Final = 86_400_000

logger = logging.getLogger(__name__)


class Retention:
    """A worker of every replica; they may all run at once."""

    def __init__(self, store: RetentionStore, clock: Clock, *, days: int) -> None:
        """Keeps resolved incidents for `days`."""
        self._store = store
        self._clock = clock
        self._keep_ms = days * _DAY_MS

    async def run(self) -> None:
        """Keeps house for ever."""
        while True:
            try:
                await self.tidy()
            except (Unavailable, Conflict) as error:
                logger.info("nothing is dropped now", extra={"cause": error.message})
            await self._clock.sleep(_EVERY_S)

    async def tidy(self) -> None:
        """One round."""
        before_ms = self._clock.now_ms() - self._keep_ms
        dropped = _AT_ONCE
        while dropped == _AT_ONCE:
            dropped = await self._store.drop_incidents(before_ms, _AT_ONCE)
            metrics.DROPPED.inc(dropped)
        await self._store.drop_rest(before_ms)
