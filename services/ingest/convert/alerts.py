"""Alerts, in and out."""

from collections.abc import Sequence
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from mesh.errors import InvalidInput
from sensus.core.v1 import alert_pb2, series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.convert.common import is_time, labels, pairs, time_ms, timestamp
from services.ingest.model.alerts import (
    Alert,
    AlertChange,
    AlertReceipt,
    AlertRefusal,
    AlertState,
    Severity,
)
from services.ingest.model.labels import (
    ALERT_NAME,
    MAX_LABELS,
    Labels,
    LabelsRefused,
    check_name,
    check_text,
    check_unique,
    checked,
    fingerprint,
)

MAX_ALERTS: Final = 1000

_MAX_ANNOTATION_BYTES: Final = 16 * 1024
_MAX_URL_BYTES: Final = 2048
_SEVERITIES: Final = {
    "critical": Severity.CRITICAL,
    "page": Severity.CRITICAL,
    "error": Severity.CRITICAL,
    "warning": Severity.WARNING,
    "warn": Severity.WARNING,
}


class AlertRefused(ValueError):  # noqa: N818 - it says what happened
    """One alert of a request is not allowed."""

    def __init__(self, reason: str, message: str) -> None:
        """`reason` is one of those in the contract."""
        super().__init__(message)
        self.reason = reason


def incoming(
    request: pb.WriteAlertsRequest, latest_ms: int
) -> tuple[dict[int, Alert], list[AlertRefusal]]:
    """The alerts of a request by their index, and those that are refused.

    Raises:
        InvalidInput: ALERTS_EMPTY or TOO_MANY_ALERTS.
    """
    if not request.alerts:
        raise InvalidInput("alerts: send at least one", reason="ALERTS_EMPTY")
    if len(request.alerts) > MAX_ALERTS:
        raise InvalidInput(f"alerts: send at most {MAX_ALERTS}", reason="TOO_MANY_ALERTS")
    good: dict[int, Alert] = {}
    refusals = []
    for index, alert in enumerate(request.alerts):
        try:
            good[index] = _incoming(alert, latest_ms)
        except AlertRefused as error:
            refusals.append(AlertRefusal(index, error.reason, str(error)))
    return good, refusals


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


def _incoming(alert: alert_pb2.Alert, latest_ms: int) -> Alert:
    known = _labels(alert.labels)
    state = _state(alert)
    start_ms = _time("start_time", alert, latest_ms)
    if start_ms is None:
        raise AlertRefused("INVALID_TIME", "start_time: is required")
    end_ms = _time("end_time", alert, latest_ms) if state is AlertState.RESOLVED else None
    if end_ms is not None and end_ms < start_ms:
        raise AlertRefused("INVALID_TIME", "end_time: must not be before start_time")
    mark = fingerprint(known)
    return Alert(
        alert_id=f"{mark}-{start_ms}",
        fingerprint=mark,
        labels=known,
        annotations=_annotations(alert.annotations),
        state=state,
        severity=_SEVERITIES.get(dict(known).get("severity", "").lower(), Severity.INFO),
        start_time_ms=start_ms,
        end_time_ms=end_ms,
        generator_url=_url(alert.generator_url),
    )


def _labels(sent: Sequence[series_pb2.Label]) -> Labels:
    try:
        return checked(pairs(sent), required=ALERT_NAME)
    except LabelsRefused as error:
        raise AlertRefused("INVALID_LABELS", str(error)) from None


def _annotations(sent: Sequence[series_pb2.Label]) -> Labels:
    """Empty texts are the same as absent ones and are left out: templates yield them."""
    kept = tuple(sorted(pair for pair in pairs(sent) if pair[1]))
    try:
        if len(kept) > MAX_LABELS:
            raise LabelsRefused(f"{len(kept)} annotations: send at most {MAX_LABELS}")
        for name, text in kept:
            check_name(name)
            check_text(f"annotation {name!r}", text, _MAX_ANNOTATION_BYTES)
        check_unique(name for name, _ in kept)
    except LabelsRefused as error:
        raise AlertRefused("INVALID_ANNOTATIONS", str(error)) from None
    return kept


def _url(sent: str) -> str:
    try:
        check_text("generator_url", sent, _MAX_URL_BYTES)
    except LabelsRefused as error:
        raise AlertRefused("INVALID_ANNOTATIONS", str(error)) from None
    return sent


def _state(alert: alert_pb2.Alert) -> AlertState:
    try:
        return AlertState(alert.state)
    except ValueError:
        raise AlertRefused("INVALID_STATE", "state: must be firing or resolved") from None


def _time(field: str, alert: alert_pb2.Alert, latest_ms: int) -> int | None:
    if not alert.HasField(field):  # type: ignore[arg-type]
        return None
    stamp: Timestamp = getattr(alert, field)
    if not is_time(stamp):
        raise AlertRefused("INVALID_TIME", f"{field}: must lie between 1970 and 9999")
    found = time_ms(stamp)
    if found > latest_ms:
        raise AlertRefused("INVALID_TIME", f"{field}: is too far ahead, set the sender's clock")
    return found
