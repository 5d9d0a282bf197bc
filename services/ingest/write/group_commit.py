"""Group commit: whoever waits goes into the next transaction together."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from prometheus_client import Gauge

from mesh.errors import SensusError
from services.ingest.store.transaction import own_error

T = TypeVar("T")
R = TypeVar("R")

_GROUP_BATCHES: Final = 256
_GROUP_ROWS: Final = 1_000_000
_WAITING_BATCHES: Final = 1024

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T, R]):
    item: T
    outcome: "asyncio.Future[R]"


class GroupCommit(Generic[T, R]):
    """Commits items one group at a time and answers each sender after its commit.

    While one group commits the next one gathers, so groups grow with the load by themselves.
    """

    def __init__(
        self,
        append: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        rows: Callable[[T], int],
        waiting: Gauge,
    ) -> None:
        """`append` commits a group, all or none of it, and says what became of each item."""
        self._append = append
        self._rows = rows
        self._gauge = waiting
        self._queue: asyncio.Queue[_Waiting[T, R]] = asyncio.Queue(_WAITING_BATCHES)

    async def commit(self, item: T) -> R:
        """Returns when `item` is durable; waits for a place when too many wait already.

        Raises:
            Unavailable: It may not be acknowledged; send it again as it was.
        """
        outcome: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        await self._queue.put(_Waiting(item, outcome))
        self._gauge.set(self._queue.qsize())
        return await outcome

    async def run(self) -> None:
        """Commits for ever; a worker of the process."""
        while True:
            await self._settle(await self._next_group())

    async def _next_group(self) -> list[_Waiting[T, R]]:
        group = [await self._queue.get()]
        rows = self._rows(group[0].item)
        while len(group) < _GROUP_BATCHES and rows < _GROUP_ROWS and not self._queue.empty():
            group.append(self._queue.get_nowait())
            rows += self._rows(group[-1].item)
        self._gauge.set(self._queue.qsize())
        return [waiting for waiting in group if not waiting.outcome.done()]

    async def _settle(self, group: Sequence[_Waiting[T, R]]) -> None:
        if not group:
            return
        try:
            outcomes = await self._append([waiting.item for waiting in group])
        except SensusError as error:
            _refuse(group, error)
        except Exception as error:
            await self._isolate(group, error)
        else:
            for waiting, outcome in zip(group, outcomes, strict=True):
                if not waiting.outcome.done():
                    waiting.outcome.set_result(outcome)

    async def _isolate(self, group: Sequence[_Waiting[T, R]], error: Exception) -> None:
        """One item that cannot be stored must not take the others of its group down."""
        logger.error("a group could not be committed", exc_info=error, extra={"size": len(group)})
        if len(group) == 1:
            _refuse(group, error)
            return
        for waiting in group:
            await self._settle([waiting])


def _refuse(group: Sequence[_Waiting[T, R]], error: Exception) -> None:
    for waiting in group:
        if not waiting.outcome.done():
            waiting.outcome.set_exception(own_error(error))
