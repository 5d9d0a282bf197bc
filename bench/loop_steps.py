"""How long each step of an event loop computes: a step that computes holds up all others.

Counts the CPU time of the loop's own thread, so that it says the same on a busy machine. What
other threads compute meanwhile, and waits for the lock that they share, are not in it.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Steps:
    """What was measured, in seconds."""

    taken_s: list[float] = field(default_factory=list)
    longest_s: float = 0.0
    longest: str = ""

    def late(self, limit_s: float) -> int:
        """How many took longer."""
        return sum(each > limit_s for each in self.taken_s)


@contextmanager
def measured() -> Iterator[Steps]:
    """Measures every step of loops of asyncio that begins inside. Not for uvloop."""
    steps, run = Steps(), asyncio.Handle._run

    def timed(handle: Any) -> None:
        began_s = time.thread_time()
        run(handle)
        took_s = time.thread_time() - began_s
        steps.taken_s.append(took_s)
        if took_s > steps.longest_s:
            steps.longest_s, steps.longest = took_s, _name(handle)

    asyncio.Handle._run = timed  # type: ignore[method-assign,assignment]
    try:
        yield steps
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]


def _name(handle: Any) -> str:
    """What the step was of: its task, or its callback."""
    callback = handle._callback
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        coroutine = owner.get_coro()
        return str(getattr(coroutine, "__qualname__", coroutine))
    return str(getattr(callback, "__qualname__", callback))
