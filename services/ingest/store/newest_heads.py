"""How far the log has come, asked once for all streams of this process."""

import asyncio
from typing import Protocol

from mesh.clock import Clock
from services.ingest.model.samples import Heads


class HasHeads(Protocol):
    """A log that says how far it has come."""

    async def heads(self) -> Heads:
        """The newest committed positions."""


class NewestHeads:
    """A short-lived copy of the heads."""

    def __init__(self, log: HasHeads, clock: Clock, *, max_age_s: float = 0.5) -> None:
        """The copy is at most `max_age_s` old."""
        self._log = log
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
                self._heads = await self._log.heads()
                self._read_at_s = self._clock.monotonic_s()
            return self._heads

    async def now(self) -> Heads:
        """The heads as they are at this moment.

        Raises:
            Unavailable: The database does not answer.
        """
        return await self._log.heads()

    def _age_s(self) -> float:
        return self._clock.monotonic_s() - self._read_at_s
