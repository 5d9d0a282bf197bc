"""A log handed on: every watch reads it from its own cursor, woken when the log grows."""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from google.protobuf.duration_pb2 import Duration
from prometheus_client import Gauge

from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import OutOfRange, Unavailable
from mesh.notices import Notices

POLL_S: Final = 1.0
PAGE: Final = 500
_MOMENT_S: Final = 0.02
"""What is committed so soon after another commit is looked for with what follows: each look is some
questions to the database, and a page for each watch."""
HEARTBEAT_DEFAULT_S: Final = 5.0
HEARTBEAT_MIN_S: Final = 1.0
HEARTBEAT_MAX_S: Final = 60.0
CURSOR_AHEAD: Final = "CURSOR_AHEAD"
"""Why a watch is refused: its cursor is of a log that went on further than this one."""

logger = logging.getLogger(__name__)


class HasCursor(Protocol):
    """An entry of a log."""

    @property
    def cursor(self) -> int:
        """Its place: above 0, and greater than those of all entries that were committed before."""
        ...


Entry = TypeVar("Entry", bound=HasCursor)
Read_co = TypeVar("Read_co", bound=HasCursor, covariant=True)


class Log(Protocol[Read_co]):
    """Committed entries in the order of their cursors.

    Whoever has read up to a cursor has missed nothing before it: writers take cursors under a lock
    that they hold until they have committed.
    """

    async def head(self) -> int:
        """Cursor of the newest entry; 0 when there is none."""
        ...

    async def last(self) -> int:
        """No cursor above it was ever given, also to an entry that is gone by now."""
        ...

    async def dropped(self) -> int:
        """Retention took some entries up to here; 0 where it took none, or where a hole tells."""
        ...

    async def after(self, cursor: int, limit: int) -> Sequence[Read_co]:
        """The first `limit` entries after `cursor`, which may be beyond all there are."""
        ...

    def listening(self) -> AbstractAsyncContextManager[Notices]:
        """Hears of commits while the block runs."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame(Generic[Entry]):
    """One step of a watch: everything up to `cursor` was sent.

    Without an entry it is a heartbeat, which says what retention `dropped`, or the last frame when
    `draining`.
    """

    cursor: int
    entry: Entry | None = None
    draining: bool = False
    dropped: int = 0


class Publisher(Generic[Entry]):
    """Follows the head of a log for all watches of this process."""

    def __init__(self, log: Log[Entry], clock: Clock, drain: Drain, watchers: Gauge) -> None:
        """Knows nothing before `run`; `watchers` counts the open watches."""
        self._log = log
        self._clock = clock
        self._drain = drain
        self._watchers = watchers
        self._head = 0
        self._last = 0
        self._dropped = 0
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Listens for commits of any process for ever, and looks every second in any case."""
        while True:
            try:
                await self._listen()
            except Unavailable as error:
                logger.warning("head of the log unknown", extra={"cause": error.message})
                await self._clock.sleep(POLL_S)

    async def watch(
        self, after: int | None, wanted: Callable[[Entry], bool], heartbeat_s: float
    ) -> AsyncGenerator[Frame[Entry]]:
        """Frames after the cursor `after`, or from now on for None; ends with a draining frame.

        When nothing is waiting the first frame is a heartbeat: it tells the place of "now".

        Raises:
            OutOfRange: CURSOR_AHEAD, at the begin or when the log went back while it is watched.
            Unavailable: The database does not answer; resume after the last frame.
        """
        cursor = await self._log.head() if after is None else after
        sent_s = -math.inf
        self._dropped = await self._log.dropped()
        self._watchers.inc()
        try:
            while not self._drain.started:
                moved = self._moved
                await self._check(cursor)
                page = await self._log.after(cursor, PAGE)
                for entry in page:
                    cursor = entry.cursor
                    if wanted(entry):
                        yield Frame(cursor=cursor, entry=entry)
                        sent_s = self._clock.monotonic_s()
                if len(page) < PAGE:  # what is committed since it was read moves the head
                    await self._wait(moved, sent_s + heartbeat_s)
                if self._clock.monotonic_s() >= sent_s + heartbeat_s:
                    yield Frame(cursor=cursor, dropped=self._dropped)
                    sent_s = self._clock.monotonic_s()
            yield Frame(cursor=cursor, draining=True)
        finally:
            self._watchers.dec()

    async def _check(self, cursor: int) -> None:
        """Asks only about a cursor that is beyond what was heard of."""
        if cursor > self._last:
            self._last = await self._log.last()
        if cursor > self._last:
            raise OutOfRange(
                f"cursor {cursor} is ahead of this log, which ends at {self._last}: it was restored"
                " from an older copy. Read what stands with the list method, then watch without a"
                " cursor",
                reason=CURSOR_AHEAD,
                metadata={"cursor": str(cursor), "last": str(self._last)},
            )

    async def _listen(self) -> None:
        loop, asked_s = asyncio.get_running_loop(), -math.inf
        async with self._log.listening() as committed:
            while committed.alive:
                head = await self._log.head()
                # a commit moves the last place with the head; more happens to a log but seldom
                if head < self._head or loop.time() - asked_s >= POLL_S:
                    asked_s = loop.time()
                    self._last = await self._log.last()
                    self._dropped = await self._log.dropped()
                self._last = max(self._last, head)
                self._advance(head)
                await asyncio.sleep(_MOMENT_S)
                await committed.wait(POLL_S)

    def _advance(self, head: int) -> None:
        """Wakes all watches when there is more, and when the log went back."""
        if head != self._head:
            self._head = head
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()

    async def _wait(self, moved: asyncio.Event, until_s: float) -> None:
        timeout_s = max(0.0, until_s - self._clock.monotonic_s())
        waits = [asyncio.create_task(moved.wait()), asyncio.create_task(self._drain.wait())]
        try:
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()


def heartbeat_s(interval: Duration, *, given: bool) -> float:
    """Seconds between heartbeats, held within 1 and 60; 5 when the caller said none."""
    if not given:
        return HEARTBEAT_DEFAULT_S
    seconds = interval.seconds + interval.nanos / 1e9
    return min(max(seconds, HEARTBEAT_MIN_S), HEARTBEAT_MAX_S)
