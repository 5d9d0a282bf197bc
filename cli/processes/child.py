"""A child of the supervisor: what can be done with it, and what is reported of it."""

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

PROBE_TIMEOUT_S = 1.5
"""Within this a probe is answered, or it counts as silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a probe got.

    Attributes:
        alive: something answered, whatever it said.
        ready: it said that it serves.
        detail: why it does not serve, if it said so.
    """

    alive: bool
    ready: bool
    detail: str = ""


SILENT = Answer(alive=False, ready=False)
READY = Answer(alive=True, ready=True)

Probe = Callable[[], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceLimits:
    """How long a process may stay silent.

    Attributes:
        every_s: from the end of one probe to the next.
        idle_s: silence after which a process that does nothing is dead: it is deadlocked, or its
            port is closed. One that is stopped (SIGSTOP) is taken for dead after 2 s.
        busy_s: silence after which one that computes or waits for the disk is given up.
        unready_s: how long one may answer that it is not ready before that is reported.
    """

    every_s: float = 1.0
    idle_s: float = 4.0
    busy_s: float = 20.0
    unready_s: float = 10.0


class Child(Protocol):
    """A process that can be started again and again: a store or a service."""

    @property
    def name(self) -> str: ...

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""

    @property
    def patience(self) -> SilenceLimits:
        """How long it may be silent."""

    async def start(self) -> None:
        """Returns when it is ready; Problem, leaving nothing behind, when it does not get there."""

    async def wait(self) -> int:
        """The exit status, once it ends; negative for a signal."""

    async def probe(self) -> Answer:
        """Asks once, over a connection of its own; who asks sets the time limit."""

    async def stop(self) -> None:
        """Ends it politely and waits. Harmless when it has ended already."""

    async def kill(self) -> None:
        """Ends it at once, whatever state it is in, so that `wait` returns."""


class State(Enum):
    """What has just happened to a child."""

    STARTING = "starting"
    READY = "ready"
    SLOW = "slow"
    UNREADY = "unready"
    SILENT = "silent"
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


def ending(status: int) -> str:
    """An exit status for people.

    >>> ending(-9), ending(1)
    ('killed by SIGKILL', 'exit status 1')
    """
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
