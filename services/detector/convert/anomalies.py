"""Between the wire and the domain; structural checks of requests."""

from datetime import UTC, datetime
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from mesh.errors import InvalidInput, Violation
from mesh.selector import Selector, SelectorError, parse
from sensus.core.v1 import series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.model.anomalies import Anomaly, Kind
from services.detector.model.checkpoints import ShardPlace
from services.detector.model.models import Status
from services.detector.publisher import Frame
from services.detector.store import AnomalyFilter

HEARTBEAT_DEFAULT_S: Final = 5.0
HEARTBEAT_MIN_S: Final = 1.0
HEARTBEAT_MAX_S: Final = 60.0

_FIRST: Final = AnomalyFilter()


def anomaly_message(anomaly: Anomaly, *, with_contributions: bool) -> detector_pb.Anomaly:
    """The anomaly as the contract has it."""
    found = anomaly.finding
    message = detector_pb.Anomaly(
        anomaly_id=found.anomaly_id,
        series_id=found.series_id,
        labels=[
            series_pb2.Label(name=name, value=value) for name, value in sorted(found.labels.items())
        ],
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
    )
    if with_contributions:
        message.contributions.extend(
            detector_pb.FeatureContribution(
                feature=part.feature, value=part.value, share=part.share
            )
            for part in found.contributions
        )
    return message


def frame_message(frame: Frame, now_ms: int) -> detector_pb.WatchAnomaliesResponse:
    """One frame of a watch."""
    if frame.anomaly is not None:
        message = anomaly_message(frame.anomaly, with_contributions=True)
        return detector_pb.WatchAnomaliesResponse(cursor=frame.cursor, anomaly=message)
    if frame.draining:
        return detector_pb.WatchAnomaliesResponse(
            cursor=frame.cursor, draining=detector_pb.WatchDraining()
        )
    heartbeat = detector_pb.WatchHeartbeat(server_time=from_ms(now_ms))
    return detector_pb.WatchAnomaliesResponse(cursor=frame.cursor, heartbeat=heartbeat)


def selector(text: str) -> Selector:
    """Parses a selector.

    Raises:
        InvalidInput: INVALID_SELECTOR, with the place.
    """
    try:
        return parse(text)
    except SelectorError as error:
        violations = [Violation("selector", str(error))]
        told = f"selector: {error}"
        raise InvalidInput(told, reason="INVALID_SELECTOR", violations=violations) from None


def heartbeat_s(interval: Duration, *, given: bool) -> float:
    """Seconds between heartbeats, held within 1 and 60; 5 when the caller said none."""
    if not given:
        return HEARTBEAT_DEFAULT_S
    seconds = interval.seconds + interval.nanos / 1e9
    return min(max(seconds, HEARTBEAT_MIN_S), HEARTBEAT_MAX_S)


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
    )
    if status.model_train_time is not None:
        message.model_train_time.CopyFrom(timestamp_of(status.model_train_time))
    return message


def _shard_message(place: ShardPlace) -> detector_pb.ShardStatus:
    message = detector_pb.ShardStatus(shard=place.shard, holder=place.holder, cursor=place.cursor)
    if place.checkpoint_time is not None:
        message.checkpoint_time.CopyFrom(timestamp_of(place.checkpoint_time))
    return message


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
    told = f"{field} {description}"
    return InvalidInput(told, reason="INVALID_TIME_RANGE", violations=violations)


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
