"""Keeps a set of child processes running, and stops them in the reverse order of their start."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil

from cli.problem import Problem
from cli.processes.child import Child, Event, State, ending
from cli.processes.liveness import Watch

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
_HEALTHY_AFTER_S = 60.0
_LONG_START_S = 10.0


class Supervisor:
    """Starts children, restarts those that end or no longer answer, stops all.

    The delays before a restart grow while a child keeps failing.
    """

    def __init__(
        self, tell: Callable[[Event], None], *, first_delay_s: float = _FIRST_DELAY_S
    ) -> None:
        """`tell` is called with each event, on the event loop, and must not block."""
        self._tell = tell
        self._first_delay_s = first_delay_s
        self._started: list[Child] = []
        self._watches: list[asyncio.Task[None]] = []

    @property
    def children(self) -> tuple[Child, ...]:
        """All that were started and are kept running, first started first."""
        return tuple(self._started)

    async def start(self, children: Sequence[Child]) -> None:
        """Starts `children` side by side and returns when all are ready; then watches them.

        Problem when one does not get ready; `stop` ends those that did.
        """
        self._started += children
        try:
            async with asyncio.TaskGroup() as group:
                for child in children:
                    group.create_task(self._start(child))
        except* Problem as problems:
            raise _first(problems) from None
        self._watches += [asyncio.create_task(self._watch(child)) for child in children]

    async def stop(self) -> None:
        """Stops all children, last started first, each before the next."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        self._watches.clear()
        while self._started:
            child = self._started.pop()
            self._tell(Event(name=child.name, state=State.STOPPING))
            await child.stop()
            self._tell(Event(name=child.name, state=State.STOPPED))

    async def _start(self, child: Child) -> None:
        self._tell(Event(name=child.name, state=State.STARTING))
        loop = asyncio.get_running_loop()
        slow = Event(
            name=child.name, state=State.SLOW, detail=f"not ready after {_LONG_START_S:g} s"
        )
        notice = loop.call_later(_LONG_START_S, self._tell, slow)
        try:
            await child.start()
        finally:
            notice.cancel()
        self._tell(Event(name=child.name, state=State.READY))

    async def _watch(self, child: Child) -> None:
        failures = 0
        clock = asyncio.get_running_loop().time
        while True:
            since_s = clock()
            status = await self._end_of(child)
            self._tell(Event(name=child.name, state=State.ENDED, detail=ending(status)))
            failures = 0 if clock() - since_s > _HEALTHY_AFTER_S else failures
            failures = await self._restart(child, failures)

    async def _end_of(self, child: Child) -> int:
        """The exit status; a child that lives but does not answer is killed."""
        ended = asyncio.create_task(child.wait())
        watched = asyncio.create_task(self._until_dead(child))
        try:
            await asyncio.wait({ended, watched}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done() and (reason := watched.result()):
                detail = f"{reason}; killing process {child.pid}"
                self._tell(Event(name=child.name, state=State.SILENT, detail=detail))
                await child.kill()
            return await ended
        finally:
            ended.cancel()
            watched.cancel()

    async def _until_dead(self, child: Child) -> str:
        """Why it is taken for dead; empty when it ended by itself."""

        def tell(state: State, detail: str) -> None:
            self._tell(Event(name=child.name, state=state, detail=detail))

        with suppress(psutil.NoSuchProcess):
            return await Watch(child.probe, child.pid or 0, child.patience, tell).until_dead()
        return ""

    async def _restart(self, child: Child, failures: int) -> int:
        while True:
            delay_s = min(self._first_delay_s * 2**failures, _LONGEST_DELAY_S)
            failures += 1
            detail = f"restart in {delay_s:g} s"
            self._tell(Event(name=child.name, state=State.WAITING, detail=detail))
            await asyncio.sleep(delay_s)
            try:
                await child.stop()
                await self._start(child)
            except (Problem, OSError) as problem:
                self._tell(Event(name=child.name, state=State.FAILED, detail=str(problem)))
            else:
                return failures


def _first(problems: BaseExceptionGroup[Problem]) -> BaseException:
    first = problems.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
