"""Alerts, in and out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from mesh.errors import InvalidInput
from sensus.core.v1 import alert_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.alerts.correction import MAX_WARNINGS, AlertCorrector
from services.ingest.alerts.severity import SeverityWords
from services.ingest.convert.common import labels, pairs, timestamp
from services.ingest.model.alerts import (
    Alert,
    AlertChange,
    AlertReceipt,
    AlertRefusal,
    AlertState,
    AlertWarning,
    Correction,
    Notice,
)
from services.ingest.model.labels import fingerprint

MAX_ALERTS: Final = 1000

_NANOS_PER_MS: Final = 1_000_000
_TRACEPARENT: Final = re.compile("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingAlerts:
    """The alerts of one request, by their index, and what is to say of them."""

    notices: dict[int, Notice]
    refusals: list[AlertRefusal]
    warnings: list[AlertWarning]


class _AlertRefused(ValueError):  # noqa: N818 - it says what happened
    """One alert of a request has no identity."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads alerts with the words for their urgency, and without the labels of replicas."""

    words: SeverityWords
    replica_labels: frozenset[str]

    def incoming(
        self, request: pb.WriteAlertsRequest, now_ms: int, future_ms: int
    ) -> IncomingAlerts:
        """The alerts of a request, mended where their form is wrong.

        Raises:
            InvalidInput: ALERTS_EMPTY or TOO_MANY_ALERTS.
        """
        if not request.alerts:
            raise InvalidInput("alerts: send at least one", reason="ALERTS_EMPTY")
        if len(request.alerts) > MAX_ALERTS:
            raise InvalidInput(f"alerts: send at most {MAX_ALERTS}", reason="TOO_MANY_ALERTS")
        mender = AlertCorrector(now_ms, future_ms)
        found = IncomingAlerts(notices={}, refusals=[], warnings=mender.warnings)
        for index, alert in enumerate(request.alerts):
            mender.turn_to(index)
            try:
                found.notices[index] = _notice(alert, mender, self)
            except _AlertRefused as error:
                found.refusals.append(AlertRefusal(index, error.reason, str(error)))
        return found

    def identity(self, labels: Mapping[str, str]) -> dict[str, str]:
        """The labels that are the alert; all of them where nothing else is there."""
        kept = {name: value for name, value in labels.items() if name not in self.replica_labels}
        return kept or dict(labels)


def receipt(known: AlertReceipt) -> pb.WriteAlertsResponse:
    """The answer to a request."""
    return pb.WriteAlertsResponse(
        accepted=known.accepted,
        duplicates=known.duplicates,
        errors=[
            pb.AlertError(index=each.index, reason=each.reason, message=each.message)
            for each in known.refusals
        ],
        alert_ids=known.alert_ids,
        warnings=[
            pb.AlertWarning(index=each.index, reason=each.mended.value, message=each.message)
            for each in known.warnings[:MAX_WARNINGS]
        ],
        duplicate_indices=known.duplicate_indices,
    )


def alert(known: Alert) -> alert_pb2.Alert:
    """An episode for the wire."""
    return alert_pb2.Alert(
        alert_id=known.alert_id,
        fingerprint=known.fingerprint,
        labels=labels(known.labels),
        annotations=labels(known.annotations),
        state=known.state.value,  # type: ignore[arg-type]
        severity=known.severity.value,  # type: ignore[arg-type]
        start_time=timestamp(known.start_time_ms),
        end_time=None if known.end_time_ms is None else timestamp(known.end_time_ms),
        generator_url=known.generator_url,
        update_time=timestamp(known.update_time_ms),
        traceparent=known.traceparent,
        end_reason=known.end_reason.value,  # type: ignore[arg-type]
    )


def history(changes: Sequence[AlertChange]) -> list[pb.AlertChange]:
    """The changes of an episode for the wire."""
    return [
        pb.AlertChange(
            state=change.state.value,  # type: ignore[arg-type]
            commit_time=timestamp(change.commit_time_ms),
            end_time=None if change.end_time_ms is None else timestamp(change.end_time_ms),
        )
        for change in changes
    ]


def _notice(alert: alert_pb2.Alert, mender: AlertCorrector, reader: Reader) -> Notice:
    known = reader.identity(mender.label_set(pairs(alert.labels)))
    if not known:
        raise _AlertRefused("INVALID_LABELS", "labels: send at least one, such as alertname")
    severity, unknown = reader.words.read(known)
    if unknown:
        rule = "is not known and counts as warning: map it by SENSUS_ALERT_SEVERITIES"
        mender.note(Correction.SEVERITY_UNKNOWN, f"severity {unknown[:100]!r}: {rule}")
    said_end_ms = _time_ms("end_time", alert)
    state = mender.state(_state(alert, mender), said_end_ms)
    episode_ms, start_ms = mender.start(_time_ms("start_time", alert), state)
    end_ms = None
    if state is AlertState.RESOLVED:
        end_ms = mender.end(said_end_ms, start_ms, is_start_said=episode_ms is not None)
    return Notice(
        fingerprint=fingerprint(tuple(sorted(known.items()))),
        labels=mender.stored_labels(known),
        annotations=mender.texts(pairs(alert.annotations)),
        state=state,
        severity=severity,
        episode_ms=episode_ms,
        start_ms=start_ms,
        end_ms=end_ms,
        generator_url=mender.url(alert.generator_url),
        traceparent=alert.traceparent if _TRACEPARENT.fullmatch(alert.traceparent) else "",
    )


def _state(alert: alert_pb2.Alert, mender: AlertCorrector) -> AlertState | None:
    """As the sender said it; None when it said none, or none that there is."""
    if alert.state == alert_pb2.ALERT_STATE_UNSPECIFIED:
        return None
    try:
        return AlertState(alert.state)
    except ValueError:
        rule = "is neither firing nor resolved, the end decides"
        mender.note(Correction.STATE_UNKNOWN, f"state {alert.state}: {rule}")
        return None


def _time_ms(field: str, alert: alert_pb2.Alert) -> int | None:
    """A time of any size, also one that no calendar has."""
    if not alert.HasField(field):  # type: ignore[arg-type]
        return None
    stamp: Timestamp = getattr(alert, field)
    return stamp.seconds * 1000 + stamp.nanos // _NANOS_PER_MS
