"""Between the wire and the domain; structural checks of requests."""

from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from mesh.errors import InvalidInput, Violation
from mesh.publisher import Frame
from mesh.selector import Selector, SelectorError, parse
from sensus.core.v1 import series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.convert.reasons import reason_of
from services.detector.model.anomalies import Anomaly, EndReason, Entry, Kind
from services.detector.model.budget import Allowance
from services.detector.model.checkpoints import ShardPlace
from services.detector.model.groups import NO_LABEL
from services.detector.model.models import Status
from services.detector.model.samples import Labels
from services.detector.store import AnomalyFilter

_FIRST: Final = AnomalyFilter()


def anomaly_message(anomaly: Anomaly, *, with_contributions: bool) -> detector_pb.Anomaly:
    """The anomaly as the contract has it."""
    found = anomaly.finding
    message = detector_pb.Anomaly(
        anomaly_id=found.anomaly_id,
        series_id=found.series_id,
        labels=_labels(found.labels),
        kind=_kind_value(found.kind),
        severity=series_pb2.Severity.ValueType(found.severity),
        event_time=from_ms(found.event_ms),
        commit_time=timestamp_of(anomaly.commit_time),
        value=found.value,
        raw_score=found.raw_score,
        alert_score=found.alert_score,
        expected=detector_pb.ExpectedRange(low=found.expected_low, high=found.expected_high),
        model_version=found.model_version,
        cursor=anomaly.cursor,
        traceparent=found.traceparent,
        lead_anomaly_id=anomaly.lead_id or "",
        series_count=anomaly.series_count,
        reason=reason_of(anomaly),
        over_budget=found.over_budget,
        series_kind=detector_pb.SeriesKind.ValueType(found.series_kind),
        series_kind_source=detector_pb.SeriesKindSource.ValueType(found.series_kind_source),
    )
    if found.shared != NO_LABEL:
        name, value = found.shared
        message.shared_label.CopyFrom(series_pb2.Label(name=name, value=value))
    if anomaly.end_ms is not None and anomaly.end_reason:
        message.end_time.CopyFrom(from_ms(anomaly.end_ms))
        message.end_reason = _reason_value(anomaly.end_reason)
    if with_contributions:
        message.contributions.extend(
            detector_pb.FeatureContribution(
                feature=part.feature, value=part.value, share=part.share
            )
            for part in found.contributions
        )
    return message


def member_message(anomaly: Anomaly) -> detector_pb.AnomalyMember:
    """The anomaly as one that another leads."""
    found = anomaly.finding
    message = detector_pb.AnomalyMember(
        anomaly_id=found.anomaly_id,
        series_id=found.series_id,
        labels=_labels(found.labels),
        severity=series_pb2.Severity.ValueType(found.severity),
        event_time=from_ms(found.event_ms),
    )
    if anomaly.end_ms is not None:
        message.end_time.CopyFrom(from_ms(anomaly.end_ms))
    return message


def _labels(labels: Labels) -> list[series_pb2.Label]:
    return [series_pb2.Label(name=name, value=value) for name, value in sorted(labels.items())]


def frame_message(frame: Frame[Entry], now_ms: int) -> detector_pb.WatchAnomaliesResponse:
    """One frame of a watch."""
    entry = frame.entry
    if entry is not None and entry.is_end:
        return detector_pb.WatchAnomaliesResponse(
            cursor=frame.cursor, ended=_ended_message(entry.anomaly)
        )
    if entry is not None:
        message = anomaly_message(entry.anomaly, with_contributions=True)
        return detector_pb.WatchAnomaliesResponse(cursor=frame.cursor, anomaly=message)
    if frame.draining:
        return detector_pb.WatchAnomaliesResponse(
            cursor=frame.cursor, draining=detector_pb.WatchDraining()
        )
    heartbeat = detector_pb.WatchHeartbeat(
        server_time=from_ms(now_ms), dropped_cursor=frame.dropped
    )
    return detector_pb.WatchAnomaliesResponse(cursor=frame.cursor, heartbeat=heartbeat)


def _ended_message(anomaly: Anomaly) -> detector_pb.AnomalyEnded:
    return detector_pb.AnomalyEnded(
        anomaly_id=anomaly.finding.anomaly_id,
        end_time=from_ms(anomaly.end_ms or 0),
        reason=_reason_value(anomaly.end_reason),
    )


def selector(text: str) -> Selector:
    """Parses a selector.

    Raises:
        InvalidInput: INVALID_SELECTOR, with the place.
    """
    try:
        return parse(text)
    except SelectorError as error:
        violations = [Violation("selector", str(error))]
        message = f"selector: {error}"
        raise InvalidInput(message, reason="INVALID_SELECTOR", violations=violations) from None


def anomaly_filter(request: detector_pb.ListAnomaliesRequest, selector: Selector) -> AnomalyFilter:
    """What the request asks for, as far as the store can tell.

    Raises:
        InvalidInput: INVALID_TIME_RANGE.
    """
    start = _time(request, "start_time", _FIRST.start_time)
    end = _time(request, "end_time", _FIRST.end_time)
    if start >= end:
        raise _invalid_time("end_time", "must be after start_time")
    return AnomalyFilter(
        start_time=start,
        end_time=end,
        min_severity=request.min_severity,
        kind=request.kind,
        labels={n: v for n, v in selector.equalities().items() if "\x00" not in n + v},
    )


def question_of(request: detector_pb.ListAnomaliesRequest) -> str:
    """All that must stay the same from page to page."""
    same = detector_pb.ListAnomaliesRequest()
    same.CopyFrom(request)
    same.ClearField("page_size")
    same.ClearField("page_token")
    return same.SerializeToString(deterministic=True).hex()


def status_message(status: Status, needed_samples: int) -> detector_pb.GetDetectorStatusResponse:
    """The status of the installation."""
    scoring = status.model_version > 0
    message = detector_pb.GetDetectorStatusResponse(
        phase=detector_pb.DETECTOR_PHASE_SCORING
        if scoring
        else detector_pb.DETECTOR_PHASE_WARMING_UP,
        warmup_samples=status.collected_samples,
        warmup_samples_needed=needed_samples,
        model_version=status.model_version,
        series_count=status.series_count,
        warm_series_count=status.warm_series_count,
        shards=[_shard_message(place) for place in status.shards],
        processed_samples=status.processed_samples,
        warning_budgets=[_budget_message(each) for each in status.budgets],
    )
    if status.model_train_time is not None:
        message.model_train_time.CopyFrom(timestamp_of(status.model_train_time))
    return message


def _budget_message(allowed: Allowance) -> detector_pb.WarningBudget:
    of = f"series {allowed.selector}" if allowed.selector else "this installation"
    return detector_pb.WarningBudget(
        selector=allowed.selector,
        warnings_per_week=allowed.per_week,
        warnings_left=int(allowed.left),
        promise=f"At most {allowed.per_week:g} warnings about values of {of} in a week, "
        f"{int(allowed.left)} of them now. What is critical, or louder than all before, is sent "
        "beside them; rules and silences are not counted.",
    )


def _shard_message(place: ShardPlace) -> detector_pb.ShardStatus:
    message = detector_pb.ShardStatus(shard=place.shard, holder=place.holder, cursor=place.cursor)
    if place.checkpoint_time is not None:
        message.checkpoint_time.CopyFrom(timestamp_of(place.checkpoint_time))
    return message


def _reason_value(reason: EndReason) -> detector_pb.AnomalyEndReason.ValueType:
    return detector_pb.AnomalyEndReason.ValueType(reason)


def _kind_value(kind: Kind) -> detector_pb.AnomalyKind.ValueType:
    return detector_pb.AnomalyKind.ValueType(kind)


def _time(request: detector_pb.ListAnomaliesRequest, field: str, default: datetime) -> datetime:
    if not request.HasField(field):  # type: ignore[arg-type]
        return default
    try:
        value: Timestamp = getattr(request, field)
        return value.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise _invalid_time(field, "must lie within the years 1 to 9999") from None


def _invalid_time(field: str, description: str) -> InvalidInput:
    violations = [Violation(field, description)]
    message = f"{field} {description}"
    return InvalidInput(message, reason="INVALID_TIME_RANGE", violations=violations)


def timestamp_of(moment: datetime) -> Timestamp:
    """The moment on the wire."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def from_ms(milliseconds: int) -> Timestamp:
    """The moment on the wire."""
    message = Timestamp()
    message.FromMilliseconds(milliseconds)
    return message
