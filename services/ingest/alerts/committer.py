"""Group commit of notices: whoever waits goes into the next transaction together."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Final

from mesh.clock import Clock
from mesh.errors import SensusError
from services.ingest.metrics import ALERT_COMMIT_GROUP
from services.ingest.model.alerts import Notice, NoticeOutcome
from services.ingest.store.episodes import EpisodeStore
from services.ingest.store.transaction import own_error

_GROUP_CALLS: Final = 256
_GROUP_NOTICES: Final = 2000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    notices: Sequence[Notice]
    outcomes: "asyncio.Future[Sequence[NoticeOutcome]]"


class NoticeCommitter:
    """Commits notices one group at a time and answers each call after its commit.

    Writers of notices take turns in the database, so one call after the other would wait for all
    the round trips of those before it. While one group commits the next one gathers; a call that
    is given up does not take the others of its group down.
    """

    def __init__(self, store: EpisodeStore, clock: Clock) -> None:
        """Commits to `store`, at the time of `clock`."""
        self._store = store
        self._clock = clock
        self._queue: deque[_Waiting] = deque()
        self._committing: asyncio.Task[None] | None = None

    async def commit(self, notices: Sequence[Notice]) -> Sequence[NoticeOutcome]:
        """Returns when the notices are durable.

        Raises:
            Unavailable: None may be acknowledged; the repeat tells what was stored.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(notices, loop.create_future())
        self._queue.append(waiting)
        if self._committing is None or self._committing.done():
            # a context of its own: the group belongs to the trace of none of its calls
            self._committing = loop.create_task(self._commit_all(), context=Context())
        return await waiting.outcomes

    async def _commit_all(self) -> None:
        while self._queue:
            if group := self._next_group():
                await self._settle(group)

    def _next_group(self) -> list[_Waiting]:
        """Those who wait longest and still do; at least one of them, however much it has."""
        group: list[_Waiting] = []
        count = 0
        while self._queue and len(group) < _GROUP_CALLS:
            count += len(self._queue[0].notices)
            if group and count > _GROUP_NOTICES:
                break
            waiting = self._queue.popleft()
            if not waiting.outcomes.done():
                group.append(waiting)
        return group

    async def _settle(self, group: Sequence[_Waiting]) -> None:
        notices = [notice for waiting in group for notice in waiting.notices]
        try:
            outcomes = iter(await self._store.write(notices, self._clock.now_ms()))
        except SensusError as error:
            _refuse(group, error)
        except Exception as error:
            await self._isolate(group, error)
        else:
            ALERT_COMMIT_GROUP.observe(len(group))
            for waiting in group:
                own = [next(outcomes) for _ in waiting.notices]
                if not waiting.outcomes.done():
                    waiting.outcomes.set_result(own)

    async def _isolate(self, group: Sequence[_Waiting], error: Exception) -> None:
        """One notice that cannot be stored must not take the other calls down."""
        if len(group) == 1:
            _refuse(group, error)
            return
        logger.error("a group could not be committed", exc_info=error, extra={"size": len(group)})
        for waiting in group:
            await self._settle([waiting])


def _refuse(group: Sequence[_Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.outcomes.done():
            waiting.outcomes.set_exception(own_error(error))
