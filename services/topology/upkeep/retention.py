"""Drops what is too old, every ten minutes."""

import logging
from typing import Final

from mesh.clock import Clock
from mesh.errors import Conflict, Unavailable
from services.topology import metrics
from services.topology.store.retention import AT_ONCE, RetentionStore

_EVERY_S: Final = 600.0
_PAUSE_S: Final = 0.1
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
KEPT_S: Final = {
    "minute": 26 * _HOUR_S,
    "hour": 15 * _DAY_S,
    "example": 7 * _DAY_S,
    "pattern": 90 * _DAY_S,
    "name": 91 * _DAY_S,
    "instance": 90 * _DAY_S,
}
EXAMPLES_A_DAY: Final = 10_000

logger = logging.getLogger(__name__)


class Retention:
    """Runs in every replica; what one has dropped the others do not find."""

    def __init__(self, store: RetentionStore, clock: Clock) -> None:
        """Drops nothing yet."""
        self._store = store
        self._clock = clock

    async def run(self) -> None:
        """Drops for ever."""
        while True:
            try:
                await self.drop()
            except (Unavailable, Conflict) as error:
                logger.info("retention put off", extra={"cause": error.message})
            await self._clock.sleep(_EVERY_S)

    async def drop(self) -> None:
        """Drops everything that is too old, in portions."""
        now_s = self._clock.now_ms() // 1000
        for kind, kept_s in KEPT_S.items():
            dropped = AT_ONCE
            while dropped == AT_ONCE:
                dropped = await self._store.drop(kind, now_s - kept_s)
                metrics.DROPPED.labels(kind).inc(dropped)
                if dropped == AT_ONCE:
                    await self._clock.sleep(_PAUSE_S)
        surplus = await self._store.drop_surplus(now_s - _DAY_S, EXAMPLES_A_DAY)
        metrics.DROPPED.labels("example").inc(surplus)
