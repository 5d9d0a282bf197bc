"""One watched log: frames in batches, each batch and its cursor one commit."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from mesh.clients import closing
from mesh.errors import Unavailable, translated
from services.incidents import metrics
from services.incidents.keeper.grouping import Grouping
from services.incidents.model.change import Change, Kind

HEARTBEAT_S: Final = 5
_SILENCE_S: Final = 3.0 * HEARTBEAT_S
_MOST: Final = 500
_WAITING: Final = 2000
_MOMENT_S: Final = 0.05
"""What comes so soon after a commit gathers for the next one, which costs a dozen questions to the
database, an event of each incident, and all that follows the log."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A log of another service.

    Attributes:
        open: Opens the stream behind a cursor.
        take: Writes a batch of its frames and the cursor.
        present: A cursor, and what still goes on that the log said before it. None: the log is read
            from its begin.
        kind: What it tells of; None for what has no begin and end.
        looks_back_ms: `present` knows only what began since then; 0 when it knows all.
        is_dense: Whether each place is sent, so that a hole was left by retention.
    """

    name: str
    open: Callable[[int], Any]
    take: Callable[[Grouping, int, list[Any]], Awaitable[None]]
    present: Callable[[], Awaitable[tuple[int, list[Change]]]] | None = None
    kind: Kind | None = None
    looks_back_ms: int = 0
    is_dense: bool = False


class Gap(Unavailable):
    """Retention dropped part of a log before it was read."""


async def watched(
    watch: Watch, grouping: Grouping, turn: asyncio.Lock, cursor: int, useful: Callable[[], None]
) -> None:
    """Reads until the sender drains.

    Raises:
        Gap: What follows the cursor is gone; nothing was taken.
        SensusError: The stream broke, or nothing could be written: open it again from the cursor.
    """
    after, is_first, is_heard = cursor, True, cursor == 0
    waiting: asyncio.Queue[Any] = asyncio.Queue(_WAITING)
    reading = asyncio.create_task(_read(watch, cursor, waiting))
    try:
        while True:
            frames = await _batch(waiting, reading)
            if not frames:
                await reading
                return
            useful()
            reached = frames[-1].cursor
            changes = [each for each in frames if each.WhichOneof("frame") != "heartbeat"]
            dropped = max(map(_dropped, frames))
            if dropped and not is_heard:
                is_heard = True
                cursor = await _skipped(watch, grouping, turn, cursor, dropped)
            if changes and is_first and watch.is_dense:
                _check_follows(watch, after, changes[0].cursor)
            is_first = is_first and not changes
            if reached > cursor:
                async with turn:
                    await watch.take(grouping, reached, changes)
                cursor = reached
                metrics.WATCH_CURSOR.labels(watch.name).set(cursor)
                await asyncio.sleep(_MOMENT_S)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def _dropped(frame: Any) -> int:
    """Up to where retention took entries of a log whose places are not all sent."""
    is_heartbeat = frame.WhichOneof("frame") == "heartbeat"
    return int(getattr(frame.heartbeat, "dropped_cursor", 0)) if is_heartbeat else 0


async def _skipped(
    watch: Watch, grouping: Grouping, turn: asyncio.Lock, cursor: int, dropped: int
) -> int:
    """The place behind what retention took before it was read, which the timeline says."""
    if dropped <= cursor:
        return cursor
    gap = f"{watch.name} missed while the log was not read: some are gone"
    logger.warning("a log has a gap", extra={"cause": gap, "cursor": cursor, "dropped": dropped})
    async with turn:
        await grouping.begin(watch.name, dropped, gap)
    return dropped


def _check_follows(watch: Watch, after: int, cursor: int) -> None:
    missing = cursor - after - 1
    if missing > 0:
        raise Gap(f"{watch.name} missed while the log was not read: {missing} changes are gone")


async def _batch(waiting: asyncio.Queue[Any], reading: "asyncio.Task[None]") -> list[Any]:
    """What waits, at least one frame; nothing when the reading is over."""
    first = asyncio.ensure_future(waiting.get())
    try:
        await asyncio.wait([first, reading], return_when=asyncio.FIRST_COMPLETED)
        if not first.done():
            return []
        frames = [first.result()]
    finally:
        first.cancel()
    while len(frames) < _MOST and not waiting.empty():
        frames.append(waiting.get_nowait())
    return frames


async def _read(watch: Watch, cursor: int, waiting: asyncio.Queue[Any]) -> None:
    with translated():
        async with closing(watch.open(cursor)) as call, aclosing(_frames(call, watch)) as frames:
            async for frame in frames:
                await waiting.put(frame)


async def _frames(call: Any, watch: Watch) -> Any:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_SILENCE_S) as limit:
            async for frame in call:
                limit.reschedule(None)
                if frame.WhichOneof("frame") == "draining":
                    return
                yield frame
                limit.reschedule(loop.time() + _SILENCE_S)
    except TimeoutError:
        raise Unavailable(f"the log of {watch.name} is silent for {_SILENCE_S:g} s") from None
