"""The model that is active, as this process sees it."""

import asyncio
import logging
from typing import Final

from mesh.clock import Clock
from mesh.errors import Unavailable
from services.detector import metrics
from services.detector.model import ActiveModel
from services.detector.store import ModelStore

POLL_S: Final = 1.0

logger = logging.getLogger(__name__)


class ForestFeed:
    """Follows the active version; one that cannot be read is refused and changes nothing."""

    def __init__(self, store: ModelStore, clock: Clock) -> None:
        """Knows nothing before `run`."""
        self._store = store
        self._clock = clock
        self._known = asyncio.Event()
        self._refused_version = 0
        self._model: ActiveModel | None = None

    def model(self) -> ActiveModel | None:
        """The model to score with; None while there is none."""
        return self._model

    async def known(self) -> None:
        """Returns when the store has been asked once."""
        await self._known.wait()

    async def run(self) -> None:
        """Asks for ever."""
        while True:
            try:
                await self.refresh()
            except Unavailable as error:
                logger.warning("active model unknown", extra={"cause": error.message})
            await self._clock.sleep(POLL_S)

    async def refresh(self) -> None:
        """Asks once, and takes the active version when it is another one."""
        version = await self._store.active_version()
        held = self._model.version if self._model else 0
        if version != held and version != self._refused_version:
            await self._take(version)
        self._known.set()

    async def _take(self, version: int) -> None:
        try:
            self._model = await self._store.load(version) if version else None
        except ValueError as error:
            self._refused_version = version
            metrics.MODELS_REFUSED.inc()
            note = {"version": version, "cause": str(error)}
            logger.error("model refused, the one before stays", extra=note)
        else:
            metrics.MODEL_VERSION.set(version)
            logger.info("model active", extra={"version": version})
