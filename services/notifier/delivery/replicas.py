"""Says that this replica is there, and frees what those hold that are not."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from mesh.clients.frames import stopped
from mesh.clock import Clock
from mesh.errors import SensusError
from services.notifier.store import Presence, PresenceLock

_EVERY_S: Final = 1.0
_AGAIN_S: Final = 0.2
GRACE_S: Final = 3.0
"""So long a replica may be without its connection: it comes back when the database does."""

logger = logging.getLogger(__name__)


class ReplicaWatch:
    """One replica's view of all."""

    def __init__(self, presence: Presence, owner: UUID, clock: Clock) -> None:
        """`owner` is this replica."""
        self._presence = presence
        self._owner = owner
        self._clock = clock
        self._absent_since_s: dict[UUID, float] = {}
        self.is_seen = False

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Says so for the block, as often as the connection is lost."""
        keeping = asyncio.create_task(self._keep(), name="attendance")
        try:
            yield
        finally:
            await stopped(keeping)

    async def _keep(self) -> None:
        while True:
            try:
                async with self._presence.held(self._owner) as present:
                    self.is_seen = True
                    await self._watch(present)
            except SensusError as error:
                logger.info("not seen by other replicas", extra={"cause": error.message})
            except Exception:
                logger.exception("not seen by other replicas")
            finally:
                self.is_seen = False
            await self._clock.sleep(_AGAIN_S)

    async def _watch(self, present: PresenceLock) -> None:
        while True:
            absent, now_s = await present.absent(), self._clock.monotonic_s()
            since_s = {each: self._absent_since_s.get(each, now_s) for each in absent}
            self._absent_since_s = since_s
            gone = [each for each, first_s in since_s.items() if now_s - first_s >= GRACE_S]
            if gone:
                logger.info("taking over from replicas that are gone", extra={"gone": len(gone)})
                await present.free(gone)
            await self._clock.sleep(_EVERY_S)
