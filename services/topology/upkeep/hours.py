"""Rolls final minutes up to hours. To do it twice, or in two replicas, changes nothing."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Final

from mesh.clock import Clock
from mesh.errors import Conflict, Unavailable
from services.topology.minutes.packing import merged, packed
from services.topology.store.minutes import HoursToRollUp, MinuteStore

_EVERY_S: Final = 30.0

logger = logging.getLogger(__name__)


def _packed_hour(contents: Sequence[bytes]) -> bytes:
    return packed(merged(contents))


class HourRollup:
    """A worker of every replica."""

    def __init__(self, store: MinuteStore, pool: Executor, clock: Clock) -> None:
        """Adds up in `pool`."""
        self._store = store
        self._pool = pool
        self._clock = clock

    async def run(self) -> None:
        """Rolls up for ever."""
        while True:
            try:
                await self.roll_up()
            except (Unavailable, Conflict) as error:
                logger.info("hours are rolled up later", extra={"cause": error.message})
            await self._clock.sleep(_EVERY_S)

    async def roll_up(self) -> None:
        """All hours that are final and not rolled up."""
        for each in await self._store.unrolled():
            await self._roll_up(each)

    async def _roll_up(self, unrolled: HoursToRollUp) -> None:
        loop = asyncio.get_running_loop()
        for hour in unrolled.hours:
            contents = await self._store.of_hour(unrolled.shard, hour)
            content = await loop.run_in_executor(self._pool, _packed_hour, contents)
            await self._store.put_hour(unrolled.shard, hour, content)
        await self._store.rolled(unrolled.shard, unrolled.until)
