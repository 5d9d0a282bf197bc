"""Writing changes of alerts, and reading an episode with its history."""

import time
from collections.abc import Mapping, Sequence

from opentelemetry.trace import SpanKind

from mesh.clock import Clock
from mesh.errors import NotFound
from mesh.telemetry import span, traceparent
from services.ingest.alerts.arrival_bell import ArrivalBell
from services.ingest.metrics import ALERTS_RECEIVED, PROCESSING_DURATION
from services.ingest.model.alerts import Alert, AlertChange, AlertReceipt, AlertRefusal
from services.ingest.store.alerts import AlertStore


class Episodes:
    """The way of alerts to the store. Consumers follow the span that brought them."""

    def __init__(self, store: AlertStore, clock: Clock, bell: ArrivalBell) -> None:
        """Time is that of `clock`; subscribers of this process wait for `bell`."""
        self._store = store
        self._clock = clock
        self._bell = bell

    async def write(
        self, alerts: Mapping[int, Alert], refusals: Sequence[AlertRefusal]
    ) -> AlertReceipt:
        """Returns when the alerts, given by their index in the request, are durable.

        Raises:
            Unavailable: None is acknowledged; send them again.
        """
        started_s = time.perf_counter()
        stored = await self._commit(list(alerts.values())) if alerts else 0
        duplicates = len(alerts) - stored
        for outcome, count in (("stored", stored), ("duplicate", duplicates)):
            ALERTS_RECEIVED.labels(outcome).inc(count)
        ALERTS_RECEIVED.labels("refused").inc(len(refusals))
        PROCESSING_DURATION.labels("alerts").observe(time.perf_counter() - started_s)
        ids = {index: alert.alert_id for index, alert in alerts.items()}
        return AlertReceipt(
            accepted=stored,
            duplicates=duplicates,
            refusals=refusals,
            alert_ids=[ids.get(index, "") for index in range(len(alerts) + len(refusals))],
        )

    async def get(self, alert_id: str) -> tuple[Alert, list[AlertChange]]:
        """An episode and its history.

        Raises:
            NotFound: ALERT_NOT_FOUND.
        """
        found = await self._store.get(alert_id)
        if found is None:
            raise NotFound("alert", alert_id)
        return found

    async def _commit(self, alerts: Sequence[Alert]) -> int:
        origin = traceparent()
        with span(
            "commit",
            kind=SpanKind.CLIENT,
            attributes={"db.system.name": "postgresql", "sensus.alerts": len(alerts)},
        ):
            stored = await self._store.write(alerts, self._clock.now_ms(), origin)
        self._bell.ring()
        return stored
