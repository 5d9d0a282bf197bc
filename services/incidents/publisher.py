"""The log out: every watch reads it from its own cursor, woken when it grows."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import Unavailable
from services.incidents import metrics
from services.incidents.model.incident import Event, Incident, IncidentState
from services.incidents.store.incidents import IncidentStore

_LOOK_EVERY_S: Final = 0.2
_PAGE: Final = 200
_LABEL_SETS: Final = 200

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchQuery:
    """What a watcher wants; `after` is None for what comes from now on."""

    after: int | None
    wants: Callable[[Incident], bool]
    heartbeat_s: float
    incident_id: str = ""
    with_labels: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One step of a watch: everything up to `cursor` was sent.

    Without an event it is a heartbeat, or the last frame when `draining`.
    """

    cursor: int
    event: Event | None = None
    incident: Incident | None = None
    label_sets: tuple[dict[str, str], ...] = ()
    draining: bool = False


class Publisher:
    """Follows the head of the log for all watches of this process."""

    def __init__(self, store: IncidentStore, clock: Clock, drain: Drain) -> None:
        """Knows nothing before `run`."""
        self._store = store
        self._clock = clock
        self._drain = drain
        self._head = 0
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Looks for ever; a worker of the process."""
        while True:
            try:
                head = await self._store.head()
            except Unavailable as error:
                logger.warning("log of incidents unknown", extra={"cause": error.message})
            else:
                if head > self._head:
                    self._head = head
                    moved, self._moved = self._moved, asyncio.Event()
                    moved.set()
            await self._clock.sleep(_LOOK_EVERY_S)

    async def watch(self, wanted: WatchQuery) -> AsyncIterator[Frame]:
        """Frames until the process drains; when nothing waits, the first is a heartbeat.

        Raises:
            Unavailable: The database does not answer; resume after the last frame.
        """
        cursor = await self._store.head() if wanted.after is None else wanted.after
        sent_s = -math.inf
        with metrics.WATCHERS.track_inprogress():
            while not self._drain.started:
                moved = self._moved
                page = await self._store.after(cursor, _PAGE)
                incidents = await self._store.get([each.incident_id for each in page])
                for event in page:
                    cursor = event.event_id
                    incident = incidents.get(event.incident_id)
                    if incident and _is_wanted(event, incident, wanted):
                        yield await self._frame(event, incident, wanted)
                        sent_s = self._clock.monotonic_s()
                if self._clock.monotonic_s() >= sent_s + wanted.heartbeat_s:
                    yield Frame(cursor=cursor)
                    sent_s = self._clock.monotonic_s()
                if not page:
                    await self._wait(moved, sent_s + wanted.heartbeat_s)
            yield Frame(cursor=cursor, draining=True)

    async def _frame(self, event: Event, incident: Incident, wanted: WatchQuery) -> Frame:
        sets: tuple[dict[str, str], ...] = ()
        if wanted.with_labels:
            found = await self._store.member_labels(incident.incident_id, _LABEL_SETS)
            sets = tuple(found)
        return Frame(cursor=event.event_id, event=event, incident=incident, label_sets=sets)

    async def _wait(self, moved: asyncio.Event, until_s: float) -> None:
        timeout_s = max(0.0, until_s - self._clock.monotonic_s())
        waits = [asyncio.create_task(moved.wait()), asyncio.create_task(self._drain.wait())]
        try:
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()


def _is_wanted(event: Event, incident: Incident, wanted: WatchQuery) -> bool:
    """What only gathers is not shown yet."""
    if event.state == IncidentState.GATHERING:
        return False
    is_meant = not wanted.incident_id or event.incident_id == wanted.incident_id
    return is_meant and wanted.wants(incident)
