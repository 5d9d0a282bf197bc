"""Anomalies out: every watch reads the log from its own cursor, woken when the log grows."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import Unavailable
from services.detector import metrics
from services.detector.model.anomalies import Anomaly
from services.detector.store import AnomalyStore

POLL_S: Final = 1.0
PAGE: Final = 500

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One step of a watch: everything up to `cursor` was sent.

    Without an anomaly it is a heartbeat, or the last frame when `draining`.
    """

    cursor: int
    anomaly: Anomaly | None = None
    draining: bool = False


class Publisher:
    """Follows the head of the log for all watches of this process."""

    def __init__(self, store: AnomalyStore, clock: Clock, drain: Drain) -> None:
        """Knows nothing before `run`."""
        self._store = store
        self._clock = clock
        self._drain = drain
        self._head = 0
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Listens for commits of any detector for ever, and looks every second in any case."""
        while True:
            try:
                await self._listen()
            except Unavailable as error:
                logger.warning("log of anomalies unknown", extra={"cause": error.message})
                await self._clock.sleep(POLL_S)

    async def watch(
        self, after: int | None, wanted: Callable[[Anomaly], bool], heartbeat_s: float
    ) -> AsyncIterator[Frame]:
        """Frames after the cursor `after`, or from now on for None; ends with a draining frame.

        When nothing is waiting the first frame is a heartbeat: it tells the place of "now".

        Raises:
            Unavailable: The database does not answer; resume after the last frame.
        """
        cursor = await self._store.head() if after is None else after
        sent_s = -math.inf
        metrics.WATCHERS.inc()
        try:
            while not self._drain.started:
                moved = self._moved
                page = await self._store.after(cursor, PAGE)
                for anomaly in page:
                    cursor = anomaly.cursor
                    if wanted(anomaly):
                        yield Frame(cursor=cursor, anomaly=anomaly)
                        sent_s = self._clock.monotonic_s()
                if not page:
                    await self._wait(moved, sent_s + heartbeat_s)
                if self._clock.monotonic_s() >= sent_s + heartbeat_s:
                    yield Frame(cursor=cursor)
                    sent_s = self._clock.monotonic_s()
            yield Frame(cursor=cursor, draining=True)
        finally:
            metrics.WATCHERS.dec()

    async def _listen(self) -> None:
        async with self._store.listening() as committed:
            while committed.alive:
                self._advance(await self._store.head())
                await committed.wait(POLL_S)

    def _advance(self, head: int) -> None:
        if head > self._head:
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
