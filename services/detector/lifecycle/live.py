"""What versions of the model do on live samples: counted by shards, flushed some times a minute."""

import logging
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from mesh.clock import Clock
from mesh.errors import Unavailable
from services.detector.detectors.engine import Engine
from services.detector.detectors.evaluation import histogram
from services.detector.model.model_life import Live
from services.detector.model.models import ActiveModel
from services.detector.store.versions import VersionStore

FLUSH_S: Final = 10.0
SAMPLES_PER_BATCH: Final = 512

logger = logging.getLogger(__name__)

F32 = npt.NDArray[np.float32]


class Observer:
    """The active version and the one in its shadow, looking at the same features."""

    def __init__(self, active: ActiveModel, shadow: ActiveModel | None) -> None:
        """`shadow` is None when there is no candidate."""
        self._seen_by = [
            (model, Engine(forest=model.forest)) for model in (active, shadow) if model is not None
        ]

    def look(self, features: F32) -> dict[int, Live]:
        """Figures by version, from at most `SAMPLES_PER_BATCH` samples that have anything new."""
        new = features[features.any(axis=1)]
        chosen = new[:: max(1, len(new) // SAMPLES_PER_BATCH)]
        if not len(chosen):
            return {}
        strange = [(model, engine.strangeness(chosen)) for model, engine in self._seen_by]
        loud_active = strange[0][1] >= strange[0][0].loud
        return {
            model.version: Live(
                samples=len(chosen),
                loud=int((each >= model.loud).sum()),
                loud_with_active=int(((each >= model.loud) & loud_active).sum()),
                histogram=histogram(each).tolist(),
            )
            for model, each in strange
        }


class LiveFigures:
    """Sums over the shards of a process; what a crash takes with it is not missed."""

    def __init__(self, store: VersionStore, clock: Clock) -> None:
        """Nothing was seen yet."""
        self._store = store
        self._clock = clock
        self._by_version: dict[int, Live] = {}

    def add(self, seen: Mapping[int, Live]) -> None:
        """Counts what one batch brought."""
        for version, live in seen.items():
            before = self._by_version.get(version)
            self._by_version[version] = live if before is None else added(before, live)

    async def run(self) -> None:
        """Flushes for ever."""
        while True:
            await self._clock.sleep(FLUSH_S)
            try:
                await self.flush()
            except Unavailable as error:
                logger.info("live figures are kept", extra={"cause": error.message})

    async def flush(self) -> None:
        """Adds what was counted to the store."""
        for version in list(self._by_version):
            live = self._by_version.pop(version)
            try:
                await self._store.add_live(version, live)
            except Unavailable:
                self.add({version: live})
                raise


def added(one: Live, other: Live) -> Live:
    """The sum."""
    return Live(
        samples=one.samples + other.samples,
        loud=one.loud + other.loud,
        loud_with_active=one.loud_with_active + other.loud_with_active,
        histogram=[a + b for a, b in zip(one.histogram, other.histogram, strict=True)],
    )
