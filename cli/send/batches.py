"""From a blocking iterator to batches on the event loop, full or old enough, whichever is first."""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

T = TypeVar("T")

_LONGEST_WAIT_S = 0.3
_LOOK_EVERY_S = 60.0  # a wait without end is none that threads have
_QUEUED_ITEMS = 20_000
_END = object()


async def batches(
    source: Iterator[T], size: int, *, longest_wait_s: float = _LONGEST_WAIT_S
) -> AsyncIterator[list[T]]:
    """Yields lists of 1 to `size` items; an item waits at most so long for others to join it.

    With an infinite wait all lists but the last are full: the same source gives the same lists.

    `source` is read in a thread of its own, as far ahead as a bounded queue allows. What it raises
    is raised here.
    """
    items: queue.Queue[object] = queue.Queue(_QUEUED_ITEMS)
    threading.Thread(target=_read, args=(source, items), daemon=True).start()
    last: object = None
    while last is not _END:
        batch: list[T] = []
        last = await asyncio.to_thread(_collect, items, batch, size, longest_wait_s)
        if batch:
            yield batch
        if isinstance(last, BaseException):
            raise last


def _read(source: Iterator[object], items: "queue.Queue[object]") -> None:
    try:
        for item in source:
            items.put(item)
        items.put(_END)
    except BaseException as error:
        items.put(error)


def _collect(
    items: "queue.Queue[object]", batch: list[T], size: int, longest_wait_s: float
) -> object:
    """Fills `batch`; the end or the error that was met, if any."""
    deadline_s = time.monotonic() + longest_wait_s
    while len(batch) < size:
        try:
            item = items.get(timeout=min(max(0.0, deadline_s - time.monotonic()), _LOOK_EVERY_S))
        except queue.Empty:
            if time.monotonic() < deadline_s:
                continue
            break
        if item is _END or isinstance(item, BaseException):
            return item
        batch.append(item)  # type: ignore[arg-type]
    return None
