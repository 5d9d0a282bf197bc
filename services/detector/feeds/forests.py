"""The models that score, as this process sees them."""

import logging
from typing import Final

from services.detector import metrics
from services.detector.model.models import ActiveModel
from services.detector.store import ModelStore

RETRY_AFTER: Final = 60
"""Refreshes before a version that could not be read is tried again: it may have been mended."""

logger = logging.getLogger(__name__)


class ForestFeed:
    """Follows the active version and its shadow.

    One that cannot be read is refused and changes nothing; where nothing scored before, the newest
    version that can be read does.
    """

    subject: Final = "active model"

    def __init__(self, store: ModelStore) -> None:
        """Knows nothing before `refresh`."""
        self._store = store
        self._refused = dict[int, int]()
        self._model: ActiveModel | None = None
        self._shadow: ActiveModel | None = None

    def model(self) -> ActiveModel | None:
        """The model to score with; None while there is none."""
        return self._model

    def shadow(self) -> ActiveModel | None:
        """The model that scores in its shadow; None while there is none."""
        return self._shadow

    async def refresh(self) -> None:
        """Asks once, and takes the versions when they are others."""
        self._refused = {version: left - 1 for version, left in self._refused.items() if left > 1}
        active = await self._store.active_version()
        if active:
            self._model = await self._taken(active, self._model) or await self._newest_usable()
        else:
            self._model = None
        metrics.MODEL_VERSION.set(self._model.version if self._model else 0)
        shadow = await self._store.shadow_version()
        self._shadow = await self._taken(shadow, self._shadow) if shadow else None

    async def _newest_usable(self) -> ActiveModel | None:
        for version in await self._store.newest_versions():
            if (model := await self._taken(version, None)) is not None:
                logger.warning("an earlier model scores", extra={"version": version})
                return model
        return None

    async def _taken(self, version: int, held: ActiveModel | None) -> ActiveModel | None:
        if (held is not None and held.version == version) or version in self._refused:
            return held
        for known in (self._model, self._shadow):
            if known is not None and known.version == version:
                return known
        try:
            model = await self._store.load(version)
        except ValueError as error:
            self._refused[version] = RETRY_AFTER
            metrics.MODELS_REFUSED.inc()
            note = {"version": version, "cause": str(error)}
            logger.error("model refused, the one before stays", extra=note)
            return held
        logger.info("model read", extra={"version": version})
        return model
