"""Writing notices of alerts, and reading an episode with its history."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from opentelemetry.trace import SpanKind

from mesh.errors import NotFound
from mesh.telemetry import span, traceparent
from services.ingest.alerts.alert_signal import AlertSignal
from services.ingest.alerts.committer import NoticeCommitter
from services.ingest.metrics import (
    ALERTS_MENDED,
    ALERTS_RECEIVED,
    ALERTS_REFUSED,
    PROCESSING_DURATION,
)
from services.ingest.model.alerts import (
    Alert,
    AlertChange,
    AlertReceipt,
    AlertRefusal,
    AlertWarning,
    Correction,
    Notice,
    NoticeOutcome,
)
from services.ingest.store.alerts import AlertStore

_NOTHING_OPEN = "resolved: no episode of this label set is open, nothing is stored"


class Episodes:
    """The way of alerts to the store. Consumers follow the span that brought them."""

    def __init__(
        self, committer: NoticeCommitter, alerts: AlertStore, alert_signal: AlertSignal
    ) -> None:
        """Subscribers of this process wait for `alert_signal`."""
        self._committer = committer
        self._alerts = alerts
        self._alert_signal = alert_signal

    async def write(
        self,
        notices: Mapping[int, Notice],
        refusals: Sequence[AlertRefusal],
        warnings: Sequence[AlertWarning],
    ) -> AlertReceipt:
        """Returns when the notices, given by their index in the request, are durable.

        Raises:
            Unavailable: None is acknowledged; send them again.
        """
        started_s = time.perf_counter()
        outcomes = await self._commit(list(notices.values())) if notices else []
        outcome_by_index = dict(zip(notices, outcomes, strict=True))
        unmatched = [
            AlertWarning(index, Correction.NOTHING_OPEN, _NOTHING_OPEN)
            for index, outcome in outcome_by_index.items()
            if not outcome.alert_id
        ]
        accepted = sum(outcome.is_new for outcome in outcomes)
        receipt = AlertReceipt(
            accepted=accepted,
            duplicates=len(outcomes) - accepted,
            refusals=refusals,
            warnings=sorted([*warnings, *unmatched], key=lambda warning: warning.index),
            alert_ids=[
                outcome_by_index[index].alert_id if index in outcome_by_index else ""
                for index in range(len(notices) + len(refusals))
            ],
            duplicate_indices=[
                index for index, outcome in outcome_by_index.items() if not outcome.is_new
            ],
        )
        _count(receipt)
        PROCESSING_DURATION.labels("alerts").observe(time.perf_counter() - started_s)
        return receipt

    async def get(self, alert_id: str) -> tuple[Alert, list[AlertChange]]:
        """An episode and its history.

        Raises:
            NotFound: ALERT_NOT_FOUND.
        """
        found = await self._alerts.get(alert_id)
        if found is None:
            raise NotFound("alert", alert_id)
        return found

    async def _commit(self, notices: Sequence[Notice]) -> Sequence[NoticeOutcome]:
        origin = traceparent()
        with span(
            "commit",
            kind=SpanKind.CLIENT,
            attributes={"db.system.name": "postgresql", "sensus.alerts": len(notices)},
        ):
            outcomes = await self._committer.commit(
                [replace(notice, traceparent=notice.traceparent or origin) for notice in notices]
            )
        self._alert_signal.ring()
        return outcomes


def _count(receipt: AlertReceipt) -> None:
    ALERTS_RECEIVED.labels("stored").inc(receipt.accepted)
    ALERTS_RECEIVED.labels("duplicate").inc(receipt.duplicates)
    ALERTS_RECEIVED.labels("refused").inc(len(receipt.refusals))
    for reason, count in Counter(each.reason for each in receipt.refusals).items():
        ALERTS_REFUSED.labels(reason).inc(count)
    for reason, count in Counter(each.mended.value for each in receipt.warnings).items():
        ALERTS_MENDED.labels(reason).inc(count)
