"""Makes tomorrow's partitions and drops those of days gone by."""

import logging
from datetime import UTC, date, datetime, timedelta
from typing import Final

from mesh.clock import Clock
from mesh.errors import Conflict, Unavailable
from services.ingest.config import Config
from services.ingest.metrics import PARTITIONS_DROPPED
from services.ingest.store.partitions import PartitionStore

_EVERY_S: Final = 600.0
_LOG: Final = "batch"
_CHUNKS: Final = "chunk"

logger = logging.getLogger(__name__)


class Retention:
    """A worker of every ingest process; they may all run at once."""

    def __init__(self, partitions: PartitionStore, clock: Clock, config: Config) -> None:
        """Ages are those of `config`."""
        self._partitions = partitions
        self._clock = clock
        self._log_days = _days(config.log_retention_s)
        self._log_most_days = _days(config.log_retention_max_s)
        self._chunk_days = _days(config.chunk_retention_s)

    async def run(self) -> None:
        """Keeps house for ever; a worker of the process."""
        while True:
            try:
                await self.tidy()
            except (Unavailable, Conflict) as error:
                logger.info("partitions stay as they are", extra={"cause": error.message})
            except Exception:
                logger.exception("retention failed")
            await self._clock.sleep(_EVERY_S)

    async def tidy(self) -> None:
        """One round."""
        today = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).date()
        ahead = [today, today + timedelta(days=1)]
        await self._partitions.make(_LOG, ahead)
        await self._partitions.make(_CHUNKS, ahead)
        await self._drop_log(today)
        for day in await self._partitions.days(_CHUNKS):
            if day < today - timedelta(days=self._chunk_days):
                await self._drop(_CHUNKS, day)

    async def _drop_log(self, today: date) -> None:
        """Oldest day first, so that what is left has no holes."""
        compacted = await self._partitions.compacted()
        needed_after = await self._partitions.needed_after()
        for day in await self._partitions.days(_LOG):
            last = await self._partitions.last_offset(day)
            read = needed_after is None or last <= needed_after
            overdue = day < today - timedelta(days=self._log_most_days)
            old = day < today - timedelta(days=self._log_days)
            if last > compacted or not old or not (read or overdue):
                return
            await self._drop(_LOG, day)

    async def _drop(self, table: str, day: date) -> None:
        await self._partitions.drop(table, day)
        PARTITIONS_DROPPED.labels(table).inc()
        logger.info("dropped a day", extra={"table": table, "day": str(day)})


def _days(seconds: float) -> int:
    return max(1, round(seconds / 86_400))
