"""Hands series of minutes to ingest, once each minute is final in every shard."""

import asyncio
import logging
from concurrent.futures import Executor
from typing import Final

from mesh.clock import Clock
from mesh.errors import SensusError
from services.topology import metrics
from services.topology.clients.ingest import IngestClient
from services.topology.model.series import Sample
from services.topology.query.closed import ClosedMinutes
from services.topology.query.naming import dictionary
from services.topology.query.series import series_of
from services.topology.store.minutes import MinuteStore
from services.topology.store.names import NameStore
from services.topology.store.published import PublishedStore

_EVERY_S: Final = 1.0
_MINUTE_MS: Final = 60_000
_MOST_VERSIONS: Final = 5000

logger = logging.getLogger(__name__)


class SeriesPublisher:
    """A worker of every replica: the number of a batch is that of its minute, so one counts."""

    def __init__(
        self,
        published: PublishedStore,
        minutes: MinuteStore,
        closed: ClosedMinutes,
        names: NameStore,
        ingest: IngestClient,
        pool: Executor,
        clock: Clock,
    ) -> None:
        """Adds up in `pool`."""
        self._published = published
        self._minutes = minutes
        self._closed = closed
        self._names = names
        self._ingest = ingest
        self._pool = pool
        self._clock = clock

    async def run(self) -> None:
        """Publishes for ever."""
        while True:
            try:
                while await self.publish():
                    pass
            except SensusError as error:
                logger.info("series are handed on later", extra={"cause": error.message})
            await self._clock.sleep(_EVERY_S)

    async def publish(self) -> bool:
        """Hands on the series of one minute; False when none is due."""
        minute = await self._published.due()
        if minute is None:
            return False
        loop = asyncio.get_running_loop()
        (table,) = await self._closed.tables([], [minute], await self._minutes.standing())
        known = await dictionary(self._names, self._pool, table)
        samples, folded = await loop.run_in_executor(self._pool, series_of, table, known)
        samples += [
            Sample(
                name="service_info",
                labels={"service": service, "version": version}
                | ({"environment": environment} if environment else {}),
                value=1.0,
            )
            for service, version, environment in await self._published.running(
                minute, _MOST_VERSIONS
            )
        ]
        end_ms = (minute + 1) * _MINUTE_MS
        if samples:
            refused = await self._ingest.write(minute, end_ms, samples)
            if refused:
                logger.warning("ingest refused samples of a minute", extra={"samples": refused})
        await self._published.published(minute)
        metrics.SERIES_FOLDED.inc(folded)
        metrics.PUBLISHED_MINUTE.set(end_ms / 1000)
        return True
