"""A watch of alerts: the log of changes from its own cursor, woken when this process writes."""

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from mesh.clock import Clock
from mesh.drain import Drain
from mesh.selector import Selector
from services.ingest.alerts.arrival_bell import ArrivalBell
from services.ingest.metrics import ALERT_WATCHES
from services.ingest.model.alerts import Alert
from services.ingest.store.alert_log import AlertLog

_PAGE: Final = 500
_LOOK_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertWatchQuery:
    """What a watcher wants; `after` is None for what comes from now on."""

    after: int | None
    selector: Selector
    min_severity: int
    heartbeat_s: float

    def wants(self, alert: Alert) -> bool:
        """Whether a change is sent."""
        is_urgent = alert.severity.value >= self.min_severity
        return is_urgent and self.selector.matches(dict(alert.labels))


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchFrame:
    """One step of a watch: everything up to `cursor` was sent.

    Without an alert it is a heartbeat, or the last frame when `draining`.
    """

    cursor: int
    alert: Alert | None = None
    draining: bool = False


class AlertWatches:
    """Serves every watch of this process."""

    def __init__(self, log: AlertLog, bell: ArrivalBell, clock: Clock, drain: Drain) -> None:
        """Other processes' changes are found by looking."""
        self._log = log
        self._bell = bell
        self._clock = clock
        self._drain = drain

    async def serve(self, wanted: AlertWatchQuery) -> AsyncIterator[WatchFrame]:
        """Frames until the process drains; when nothing waits, the first is a heartbeat.

        Raises:
            Unavailable: The database does not answer; resume after the last frame.
        """
        cursor = await self._log.head() if wanted.after is None else wanted.after
        sent_s = -math.inf
        with ALERT_WATCHES.track_inprogress():
            while not self._drain.started:
                page = await self._log.after(cursor, _PAGE)
                for change in page:
                    cursor = change.cursor
                    if wanted.wants(change.alert):
                        yield WatchFrame(cursor=cursor, alert=change.alert)
                        sent_s = self._clock.monotonic_s()
                if self._clock.monotonic_s() >= sent_s + wanted.heartbeat_s:
                    yield WatchFrame(cursor=cursor)
                    sent_s = self._clock.monotonic_s()
                if not page:
                    await self._wait()
            yield WatchFrame(cursor=cursor, draining=True)

    async def _wait(self) -> None:
        waits = [
            asyncio.create_task(self._bell.wait(_LOOK_EVERY_S)),
            asyncio.create_task(self._drain.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
