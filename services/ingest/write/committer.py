"""Group commit: whoever waits goes into the next transaction together."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mesh.clock import Clock
from mesh.errors import SensusError, Unavailable
from services.ingest.metrics import COMMIT_DURATION, COMMIT_GROUP, COMMIT_WAITING
from services.ingest.model.batch import Batch, Outcome
from services.ingest.publisher import Publisher
from services.ingest.store.log import Appended, Log
from services.ingest.store.series_cache import SeriesCache

_GROUP_BATCHES: Final = 256
_GROUP_ROWS: Final = 1_000_000
_WAITING_BATCHES: Final = 1024

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    batch: Batch
    outcome: "asyncio.Future[Outcome]"


class Committer:
    """Commits batches one group at a time and answers each sender after its commit.

    While one group commits the next one gathers, so groups grow with the load by themselves.
    """

    def __init__(
        self, log: Log, series_cache: SeriesCache, publisher: Publisher, clock: Clock
    ) -> None:
        """Committed groups go to `publisher`."""
        self._log = log
        self._series_cache = series_cache
        self._publisher = publisher
        self._clock = clock
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(_WAITING_BATCHES)

    async def commit(self, batch: Batch) -> Outcome:
        """Returns when `batch` is durable; waits for a place when too many wait already.

        Raises:
            Unavailable: It may not be acknowledged; send it again under the same sequence.
        """
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        await self._queue.put(_Waiting(batch, outcome))
        COMMIT_WAITING.set(self._queue.qsize())
        return await outcome

    async def run(self) -> None:
        """Commits for ever; a worker of the process."""
        while True:
            await self._settle(await self._next_group())

    async def _next_group(self) -> list[_Waiting]:
        group = [await self._queue.get()]
        rows = len(group[0].batch.slots)
        while len(group) < _GROUP_BATCHES and rows < _GROUP_ROWS and not self._queue.empty():
            group.append(self._queue.get_nowait())
            rows += len(group[-1].batch.slots)
        COMMIT_WAITING.set(self._queue.qsize())
        return [waiting for waiting in group if not waiting.outcome.done()]

    async def _settle(self, group: Sequence[_Waiting]) -> None:
        if not group:
            return
        try:
            appended = await self._append([waiting.batch for waiting in group])
        except SensusError as error:
            _refuse(group, error)
        except Exception as error:
            await self._isolate(group, error)
        else:
            for waiting, outcome in zip(group, appended.outcomes, strict=True):
                if not waiting.outcome.done():
                    waiting.outcome.set_result(outcome)

    async def _isolate(self, group: Sequence[_Waiting], error: Exception) -> None:
        """One batch that cannot be stored must not take the others of its group down."""
        logger.error("a group could not be committed", exc_info=error, extra={"size": len(group)})
        if len(group) == 1:
            _refuse(group, error)
            return
        for waiting in group:
            await self._settle([waiting])

    async def _append(self, batches: Sequence[Batch]) -> Appended:
        started_s = time.perf_counter()
        for batch in batches:
            self._series_cache.fill(batch.table, batch.table.unresolved(batch.slots))
        appended = await self._log.append(batches, self._clock.now_ms())
        COMMIT_DURATION.observe(time.perf_counter() - started_s)
        COMMIT_GROUP.observe(len(batches))
        self._series_cache.add(appended.registered)
        if appended.entries:
            self._publisher.offer(appended.entries)
        return appended


def _refuse(group: Sequence[_Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.outcome.done():
            waiting.outcome.set_exception(_own(error))


def _own(error: Exception) -> Exception:
    """Each waiter raises an error object of its own: tracebacks of tasks must not mix."""
    if isinstance(error, Unavailable):
        return Unavailable(error.message, retry_after_s=error.retry_after_s, reason=error.reason)
    return error
