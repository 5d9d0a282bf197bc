"""One replica at a time holds the lease and groups; the others wait for their turn."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mesh.clients import Backoff, keep_open
from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import OutOfRange, SensusError, Unavailable
from services.incidents import metrics
from services.incidents.clients.callgraph import CallGraph
from services.incidents.consumer.watching import Gap, Watch, watched
from services.incidents.keeper.grouping import Grouping
from services.incidents.store.lease import LeaseStore
from services.incidents.store.rules import RuleStore
from services.incidents.store.silences import Silencing
from services.incidents.store.transaction import LeaseLost

_TICK_S: Final = 1.0
_TURN_S: Final = 2.0
_AT_ONCE: Final = 500

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a holder works with."""

    lease: LeaseStore
    rules: RuleStore
    graph: CallGraph
    silencing: Silencing
    grouping: Callable[[tuple[str, int]], Grouping]
    watches: Sequence[Watch]


class Leader:
    """A worker of every replica."""

    def __init__(self, parts: Parts, clock: Clock, drain: Drain, *, lease_s: float) -> None:
        """Renews the lease three times while it lasts."""
        self._parts = parts
        self._clock = clock
        self._drain = drain
        self._renew_s = lease_s / 3
        self._owner = uuid.uuid4().hex

    async def run(self) -> None:
        """Groups whenever it is its turn, for ever."""
        await keep_open(self._session, name="incidents", waits=Backoff(cap_s=_TURN_S))

    async def _session(self, waits: Backoff) -> None:
        if self._drain.started:
            await asyncio.Event().wait()
        fence = await self._parts.lease.hold(self._owner)
        if fence is None:
            raise Unavailable("another replica groups", retry_after_s=_TURN_S)
        logger.info("groups alerts from now on", extra={"fence": fence})
        metrics.LEADER.set(1)
        try:
            await self._lead((self._owner, fence), waits)
        finally:
            metrics.LEADER.set(0)
            await self._release(fence)

    async def _lead(self, lease: tuple[str, int], waits: Backoff) -> None:
        grouping, turn = self._parts.grouping(lease), asyncio.Lock()
        works: list[Awaitable[Any]] = [
            self._renew(lease),
            self._tick(grouping, turn, lease),
            self._drain.wait(),
            *(self._follow(each, grouping, turn) for each in self._parts.watches),
        ]
        waits.reset()
        tasks = [asyncio.ensure_future(each) for each in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, watch: Watch, grouping: Grouping, turn: asyncio.Lock) -> None:
        """Opens the watch again whenever it ends, from what was committed."""
        waits = Backoff(cap_s=_TURN_S)
        while True:
            try:
                cursor = (await self._parts.lease.cursors()).get(watch.name)
                if cursor is None:
                    cursor = await self._begin(watch, grouping, turn)
                await watched(watch, grouping, turn, cursor, waits.reset)
            except LeaseLost:
                raise
            except Gap as error:
                logger.warning("a log has a gap", extra={"cause": error.message})
                await self._begin(watch, grouping, turn, error.message)
            except OutOfRange as error:
                logger.warning("a log went back", extra={"log": watch.name, "cause": error.message})
                gap = f"{watch.name} were restored from an older copy: what it lacks is not known"
                await self._begin(watch, grouping, turn, gap)
            except SensusError as error:
                note = {"log": watch.name, "cause": error.message}
                logger.info("a watched log is opened again", extra=note)
            await self._clock.sleep(waits.next_s())

    async def _begin(
        self, watch: Watch, grouping: Grouping, turn: asyncio.Lock, gap: str = ""
    ) -> int:
        """Takes in what still goes on, and goes on from now; the cursor.

        What is over opens nothing: on an old installation that would be months of alerts.
        """
        if watch.present is None or watch.kind is None:
            if gap:
                async with turn:
                    await grouping.begin(watch.name, 0, gap)
            return 0
        cursor, present = await watch.present()
        async with turn:
            ended = (
                await grouping.not_among(watch.kind, present, watch.looks_back_ms) if gap else []
            )
        changes = [*ended, *present]
        for first in range(0, len(changes), _AT_ONCE):
            async with turn:
                await grouping.changes(watch.name, None, changes[first : first + _AT_ONCE])
        async with turn:
            await grouping.begin(watch.name, cursor, gap)
        logger.info("a log is followed", extra={"log": watch.name, "present": len(present)})
        return cursor

    async def _renew(self, lease: tuple[str, int]) -> None:
        while True:
            await self._clock.sleep(self._renew_s)
            if await self._parts.lease.hold(lease[0]) != lease[1]:
                raise Unavailable("another replica groups by now")

    async def _tick(self, grouping: Grouping, turn: asyncio.Lock, lease: tuple[str, int]) -> None:
        while True:
            async with turn:
                grouping.rules = await self._parts.rules.compiled()
                grouping.graph = self._parts.graph.now
                await grouping.tick()
                await self._parts.silencing.round(self._clock.now_ms(), lease)
            await self._clock.sleep(_TICK_S)

    async def _release(self, fence: int) -> None:
        try:
            await self._parts.lease.release(self._owner, fence)
        except SensusError as error:
            logger.info("the lease runs out by itself", extra={"cause": error.message})
