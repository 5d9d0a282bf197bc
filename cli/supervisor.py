"""Keeps a set of child processes running, and stops them in the reverse order of their start."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from cli.problem import Problem

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
_HEALTHY_AFTER_S = 60.0


class Child(Protocol):
    """A process that can be started again and again: a store or a service."""

    @property
    def name(self) -> str: ...

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""

    async def start(self) -> None:
        """Returns when it is ready; Problem, leaving nothing behind, when it does not get there."""

    async def wait(self) -> int:
        """The exit status, once it ends; negative for a signal."""

    async def stop(self) -> None:
        """Ends it politely and waits. Harmless when it has ended already."""


class State(Enum):
    """What has just happened to a child."""

    STARTING = "starting"
    READY = "ready"
    ENDED = "ended"
    WAITING = "waiting"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """News about one child, to be shown."""

    name: str
    state: State
    detail: str = ""


class Supervisor:
    """Starts children, restarts those that end by themselves after growing delays, stops all."""

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
        await child.start()
        self._tell(Event(name=child.name, state=State.READY))

    async def _watch(self, child: Child) -> None:
        failures = 0
        clock = asyncio.get_running_loop().time
        while True:
            since_s = clock()
            status = await child.wait()
            self._tell(Event(name=child.name, state=State.ENDED, detail=ending(status)))
            failures = 0 if clock() - since_s > _HEALTHY_AFTER_S else failures
            failures = await self._restart(child, failures)

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
            except Problem as problem:
                self._tell(Event(name=child.name, state=State.FAILED, detail=str(problem)))
            else:
                return failures


def ending(status: int) -> str:
    """An exit status for people.

    >>> ending(-9), ending(1)
    ('killed by SIGKILL', 'exit status 1')
    """
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _first(problems: BaseExceptionGroup[Problem]) -> BaseException:
    first = problems.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
