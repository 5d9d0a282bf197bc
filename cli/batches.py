"""From a blocking iterator to batches on the event loop, full or old enough, whichever is first."""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

T = TypeVar("T")

_LONGEST_WAIT_S = 0.3
_QUEUED_ITEMS = 20_000
_END = object()


async def batches(source: Iterator[T], size: int) -> AsyncIterator[list[T]]:
    """Yields lists of 1 to `size` items; an item waits at most 0.3 s for others to join it.

    `source` is read in a thread of its own, as far ahead as a bounded queue allows. What it raises
    is raised here.
    """
    items: queue.Queue[object] = queue.Queue(_QUEUED_ITEMS)
    threading.Thread(target=_read, args=(source, items), daemon=True).start()
    last: object = None
    while last is not _END:
        batch: list[T] = []
        last = await asyncio.to_thread(_collect, items, batch, size)
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


def _collect(items: "queue.Queue[object]", batch: list[T], size: int) -> object:
    """Fills `batch`; the end or the error that was met, if any."""
    deadline_s = time.monotonic() + _LONGEST_WAIT_S
    while len(batch) < size:
        try:
            item = items.get(timeout=max(0.0, deadline_s - time.monotonic()))
        except queue.Empty:
            break
        if item is _END or isinstance(item, BaseException):
            return item
        batch.append(item)  # type: ignore[arg-type]
    return None
