"""Drops what is older than whole days, once an hour."""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from mesh.clock import Clock
from mesh.errors import Conflict, Unavailable
from services.detector import metrics
from services.detector.store.retention import AT_ONCE, RetentionStore

EVERY_S: Final = 3600.0
PAUSE_S: Final = 0.1

logger = logging.getLogger(__name__)


class Retention:
    """Runs in every detector; what one has dropped the others do not find."""

    def __init__(self, store: RetentionStore, keep_days: int, clock: Clock) -> None:
        """Keeps `keep_days` whole days and today."""
        self._store = store
        self._keep_days = keep_days
        self._clock = clock

    async def run(self) -> None:
        """Drops for ever."""
        while True:
            try:
                await self.drop()
            except (Unavailable, Conflict) as error:
                logger.info("retention put off", extra={"cause": error.message})
            except Exception:
                logger.exception("retention failed")
            await self._clock.sleep(EVERY_S)

    async def drop(self) -> None:
        """Drops everything that is too old, in portions."""
        before = self._oldest_kept()
        await self._in_portions("anomaly", self._store.drop_anomalies, before)
        await self._in_portions("feedback", self._store.drop_feedback, before)
        await self._in_portions("training", self._store.drop_trainings, before)
        await self._in_portions("version", self._store.drop_versions, before)

    async def _in_portions(
        self, kind: str, drop: Callable[[datetime], Awaitable[int]], before: datetime
    ) -> None:
        dropped = AT_ONCE
        while dropped == AT_ONCE:
            dropped = await drop(before)
            metrics.DROPPED.labels(kind).inc(dropped)
            if dropped == AT_ONCE:
                await self._clock.sleep(PAUSE_S)

    def _oldest_kept(self) -> datetime:
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return today - timedelta(days=self._keep_days)
