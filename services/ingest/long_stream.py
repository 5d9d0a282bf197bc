"""The answering side of a long stream: many tasks speak, one writes, all end together."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

Put = Callable[[T], Awaitable[None]]
"""Hands a frame to the writer; waits while the peer does not read."""

_END: Final = object()


async def answers(work: Callable[[Put[T]], Awaitable[None]], *, size: int = 8) -> AsyncIterator[T]:
    """Yields what `work` puts until it returns, then raises what it raised.

    At most `size` frames wait for the peer. Closing the iterator cancels `work` and waits for it.
    """
    queue: asyncio.Queue[object] = asyncio.Queue(size)
    task = asyncio.ensure_future(work(queue.put))
    task.add_done_callback(lambda _: None if queue.full() else queue.put_nowait(_END))
    try:
        while not (task.done() and queue.empty()):
            frame = await queue.get()
            if frame is not _END:
                yield frame  # type: ignore[misc]
        _raise_first(task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _raise_first(task: "asyncio.Future[None]") -> None:
    """A task group wraps errors; the caller of the stream gets the first one plain."""
    try:
        task.result()
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
