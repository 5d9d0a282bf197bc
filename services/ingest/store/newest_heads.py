"""How far the log has come, asked once for all streams of this process."""

import asyncio

from mesh.clock import Clock
from services.ingest.model.samples import Heads
from services.ingest.store.installation import Installation


class NewestHeads:
    """A short-lived copy of the heads."""

    def __init__(self, installation: Installation, clock: Clock, *, max_age_s: float = 0.5) -> None:
        """The copy is at most `max_age_s` old."""
        self._installation = installation
        self._clock = clock
        self._max_age_s = max_age_s
        self._lock = asyncio.Lock()
        self._heads: Heads | None = None
        self._read_at_s = 0.0

    async def get(self) -> Heads:
        """The heads.

        Raises:
            Unavailable: The database does not answer.
        """
        async with self._lock:
            if self._heads is None or self._age_s() > self._max_age_s:
                self._heads = await self._installation.heads()
                self._read_at_s = self._clock.monotonic_s()
            return self._heads

    async def now(self) -> Heads:
        """The heads as they are at this moment.

        Raises:
            Unavailable: The database does not answer.
        """
        return await self._installation.heads()

    def _age_s(self) -> float:
        return self._clock.monotonic_s() - self._read_at_s
