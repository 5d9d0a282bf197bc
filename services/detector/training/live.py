"""What versions of the model do on live samples: counted by shards, flushed some times a minute."""

import logging
from collections.abc import Mapping
from typing import Final

from mesh.clock import Clock
from mesh.errors import Unavailable
from services.detector.model.model_life import Live
from services.detector.store.versions import VersionStore

FLUSH_S: Final = 10.0

logger = logging.getLogger(__name__)


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
