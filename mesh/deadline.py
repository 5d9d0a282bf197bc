"""The deadline of the call being handled, and work that outlives it."""

import asyncio
import contextvars
import time
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

_deadline_s: ContextVar[float] = ContextVar("sensus_deadline_s")


def set_time_remaining(seconds: float) -> None:
    """Gives the rest of the current context, and all calls made in it, `seconds` from now."""
    _deadline_s.set(time.monotonic() + seconds)


def time_remaining() -> float | None:
    """Seconds until the caller gives up, never below 0; None when nobody waits."""
    deadline_s = _deadline_s.get(None)
    return None if deadline_s is None else max(0.0, deadline_s - time.monotonic())


def detached(work: Coroutine[Any, Any, T], *, name: str) -> "asyncio.Task[T]":
    """Starts work that outlives the call it came from: without its deadline, caller and trace.

    The one who starts it keeps the task and awaits it before the process ends.
    """
    return asyncio.get_running_loop().create_task(work, name=name, context=contextvars.Context())
