"""Habits of a client: close what was opened, wait before trying again, open again when it ends."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol, TypeVar

from mesh.errors import (
    Cancelled,
    Conflict,
    DeadlineExceeded,
    Overloaded,
    SensusError,
    Unauthenticated,
    Unavailable,
    translated,
)

_OPEN_AGAIN: Final = (Unavailable, Overloaded, DeadlineExceeded, Cancelled, Conflict)

_NEW_TOKEN_HELPS: Final = ("TOKEN_EXPIRED", "STANDING_CHANGED")

logger = logging.getLogger(__name__)


class _Cancellable(Protocol):
    def cancel(self) -> bool: ...


C = TypeVar("C", bound=_Cancellable)


@asynccontextmanager
async def closing(call: C) -> AsyncIterator[C]:
    """Cancels the rpc on the way out: leaving `async for` alone would let it run on."""
    try:
        yield call
    finally:
        call.cancel()


class Backoff:
    """Waits that double with each failure, with full jitter, up to a cap."""

    def __init__(self, base_s: float = 0.2, cap_s: float = 10.0) -> None:
        """The n-th wait is drawn from 0 to `base_s * 2**n`, at most `cap_s`."""
        self._base_s = base_s
        self._cap_s = cap_s
        self._failures = 0

    def reset(self) -> None:
        """Starts over; call it after the first useful answer, not after a mere connect."""
        self._failures = 0

    def next_s(self, at_least_s: float = 0.0) -> float:
        """The length of the next wait, no shorter than what the server asked for."""
        ceiling_s = min(self._cap_s, self._base_s * 2 ** min(self._failures, 30))
        self._failures += 1
        return max(at_least_s, random.uniform(0, ceiling_s))  # noqa: S311

    async def wait(self, at_least_s: float = 0.0) -> None:
        """Sleeps for the next wait."""
        await asyncio.sleep(self.next_s(at_least_s))

    async def __aiter__(self) -> AsyncIterator[int]:
        """Yields attempt numbers for ever, at once for the first and after a wait each next."""
        for attempt in range(1 << 62):
            yield attempt
            await self.wait()


def backoff(base_s: float = 0.2, cap_s: float = 10.0) -> Backoff:
    """Attempts to go through with `async for`; `reset()` when one went well."""
    return Backoff(base_s, cap_s)


def may_open_again(error: SensusError) -> bool:
    """Whether a new stream, with a fresh token, can go on where this one ended."""
    is_old_token = isinstance(error, Unauthenticated) and error.reason in _NEW_TOKEN_HELPS
    return is_old_token or isinstance(error, _OPEN_AGAIN)


async def keep_open(
    session: Callable[[Backoff], Awaitable[None]],
    *,
    name: str,
    waits: Backoff | None = None,
) -> None:
    """Runs `session` for ever, opening its stream again whenever it ends.

    A server that drains, is away, found the token too old or gave our place to another of the same
    name is asked again after a backoff, which `session` resets when it has got something useful.
    The new call brings a fresh token.

    Raises:
        SensusError: What opening again cannot cure, such as PERMISSION_DENIED.
    """
    waits = waits or Backoff()
    while True:
        at_least_s = 0.0
        try:
            with translated():
                await session(waits)
            logger.info("stream ended, opening it again", extra={"stream": name})
        except SensusError as error:
            if not may_open_again(error):
                raise
            at_least_s = error.retry_after_s or 0.0
            note = {"stream": name, "reason": error.reason, "cause": error.message}
            log = logger.warning if isinstance(error, Conflict) else logger.info
            log("stream broke, opening it again", extra=note)
        await waits.wait(at_least_s)
