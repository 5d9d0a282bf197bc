"""Large batches are worked on beside the event loop, and of each caller one at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, ParamSpec, TypeVar
from weakref import WeakValueDictionary

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

_SMALL_ROWS: Final = 4096
"""Up to here a look at all rows takes less than half a millisecond."""


class Turns:
    """Turns of callers: who opens many streams gets no more of a core than who has one."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._turn_by_caller: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, caller: str) -> AsyncIterator[None]:
        """Runs the block when no other one of the caller runs."""
        async with self._turn_by_caller.setdefault(caller, asyncio.Lock()):
            yield


async def beside(rows: int, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Calls `work`, which looks at so many rows: in a thread when it would hold the loop."""
    if rows > _SMALL_ROWS:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)


async def in_parts(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """The items in parts of a few milliseconds; others have the loop in between."""
    for start in range(0, len(items), _SMALL_ROWS):
        yield items[start : start + _SMALL_ROWS]
        await asyncio.sleep(0)
