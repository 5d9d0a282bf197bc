"""Forgets what is old: first the frames of explanations, later the explanations themselves."""

import asyncio
import logging
from typing import Final

from mesh.clock import Clock
from mesh.errors import SensusError
from services.explainer import metrics
from services.explainer.store.retention import RetentionStore

EVERY_S: Final = 600.0

logger = logging.getLogger(__name__)


class Retention:
    """A worker. Any number of replicas may run it: each batch is deleted by one of them."""

    def __init__(
        self, store: RetentionStore, *, explanations_days: float, frames_days: float, clock: Clock
    ) -> None:
        """Explanations, with all that hangs on them, are kept `explanations_days`."""
        self._store = store
        self._explanations_days = explanations_days
        self._frames_days = frames_days
        self._clock = clock

    async def run(self) -> None:
        """Runs for ever; what fails is tried again."""
        while True:
            try:
                await self.once()
            except SensusError as error:
                logger.warning("retention put off", extra={"cause": error.message})
            except Exception:
                logger.exception("retention failed")
            await self._clock.sleep(EVERY_S)

    async def once(self) -> None:
        """Deletes everything that is too old now, in batches."""
        while frames := await self._store.forget_frames(self._frames_days):
            metrics.FORGOTTEN.labels("frame").inc(frames)
            await asyncio.sleep(0)
        while explanations := await self._store.forget_explanations(self._explanations_days):
            metrics.FORGOTTEN.labels("explanation").inc(explanations)
            await asyncio.sleep(0)
        await self._store.forget_context(self._explanations_days)
