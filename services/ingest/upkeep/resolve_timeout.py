"""Ends episodes whose sender has said nothing for so long that they do not count as firing."""

import logging
from typing import Final

from mesh.clock import Clock
from mesh.errors import Conflict, Unavailable
from services.ingest.alerts.alert_signal import AlertSignal
from services.ingest.metrics import ALERTS_UNREPEATED
from services.ingest.store.repeats import RepeatStore

_EVERY_S: Final = 30.0
_AT_ONCE: Final = 500

logger = logging.getLogger(__name__)


class ResolveTimeout:
    """A worker of every ingest process; they may all run at once."""

    def __init__(
        self,
        store: RepeatStore,
        alert_signal: AlertSignal,
        clock: Clock,
        *,
        resolve_timeout_s: float,
    ) -> None:
        """An episode ends `resolve_timeout_s` after it was last said to fire."""
        self._store = store
        self._alert_signal = alert_signal
        self._clock = clock
        self._timeout_ms = round(resolve_timeout_s * 1000)

    async def run(self) -> None:
        """Looks for ever; a worker of the process."""
        while True:
            try:
                await self.tidy()
            except (Unavailable, Conflict) as error:
                logger.info("no alert expires now", extra={"cause": error.message})
            await self._clock.sleep(_EVERY_S)

    async def tidy(self) -> None:
        """One round."""
        ended = _AT_ONCE
        while ended == _AT_ONCE:
            ended = await self._store.expire(self._clock.now_ms(), self._timeout_ms, _AT_ONCE)
            if ended:
                ALERTS_UNREPEATED.inc(ended)
                self._alert_signal.ring()
