"""Questions about series, samples and alerts."""

import re
from collections.abc import Mapping
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from mesh.selector import Selector
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.convert.common import invalid, is_time, selector, series, time_ms
from services.ingest.model.alerts import AlertState, Severity
from services.ingest.model.exemplars import Exemplar
from services.ingest.model.metadata import Known
from services.ingest.model.samples import SeriesSamples
from services.ingest.query.exemplars import ExemplarQuery, SeriesExemplars
from services.ingest.query.samples import SampleQuery
from services.ingest.store.alerts import AlertFilter

_MAX_RANGE_MS: Final = 31 * 86_400_000
_DEFAULT_SERIES: Final = 1000
_MAX_SERIES: Final = 20_000
_DEFAULT_TRACED: Final = 100
_MAX_TRACED: Final = 200
_LONGEST_NAME: Final = 256
UNKNOWN: Final = "METRIC_TYPE_UNSPECIFIED"
_MAX_POINTS: Final = 10_000
_ALERT_ID: Final = re.compile(r"[0-9a-f]{16}-[0-9]{1,15}")


def sample_query(request: pb.QuerySamplesRequest, now_ms: int) -> SampleQuery:
    """What is asked of the samples.

    Raises:
        InvalidInput: INVALID_SELECTOR, INVALID_TIME_RANGE or INVALID_MAX_POINTS.
    """
    start_ms, end_ms = _range(request, now_ms)
    return SampleQuery(
        selector=_some_series(request.selector),
        start_ms=start_ms,
        end_ms=end_ms,
        max_series=min(request.max_series or _DEFAULT_SERIES, _MAX_SERIES),
        newest=request.max_samples_per_series,
        points=_max_points(request.max_points),
    )


def exemplar_query(request: pb.QueryExemplarsRequest, now_ms: int) -> ExemplarQuery:
    """What is asked of the exemplars.

    Raises:
        InvalidInput: INVALID_SELECTOR or INVALID_TIME_RANGE.
    """
    start_ms, end_ms = _range(request, now_ms)
    return ExemplarQuery(
        selector=_some_series(request.selector),
        start_ms=start_ms,
        end_ms=end_ms,
        max_series=min(request.max_series or _DEFAULT_TRACED, _MAX_TRACED),
    )


def exemplars(found: list[SeriesExemplars]) -> pb.QueryExemplarsResponse:
    """Exemplars by series for the wire."""
    return pb.QueryExemplarsResponse(
        series=[
            pb.SeriesExemplars(series=series(each.series), exemplars=map(_exemplar, each.exemplars))
            for each in found
        ]
    )


def _exemplar(each: Exemplar) -> pb.Exemplar:
    made = pb.Exemplar(value=each.value, trace_id=each.trace_id, span_id=each.span_id)
    made.time.FromMilliseconds(each.time_ms)
    return made


def _some_series(text: str) -> Selector:
    wanted = selector(text)
    if not wanted.matchers:
        raise invalid("selector", "name a metric or at least one label", "INVALID_SELECTOR")
    return wanted


def _range(
    request: pb.QuerySamplesRequest | pb.QueryExemplarsRequest, now_ms: int
) -> tuple[int, int]:
    """First time, and the time before which it ends."""
    if not request.HasField("start_time"):
        raise invalid("start_time", "is required", "INVALID_TIME_RANGE")
    start_ms = _time("start_time", request.start_time)
    end_ms = _time("end_time", request.end_time) if request.HasField("end_time") else now_ms
    if end_ms < start_ms:
        raise invalid("end_time", "must not be before start_time", "INVALID_TIME_RANGE")
    if end_ms - start_ms > _MAX_RANGE_MS:
        raise invalid("end_time", "at most 31 days after start_time", "INVALID_TIME_RANGE")
    return start_ms, end_ms


def _max_points(asked: int) -> int:
    if asked > _MAX_POINTS:
        raise invalid("max_points", f"ask for at most {_MAX_POINTS:,}", "INVALID_MAX_POINTS")
    return asked


def samples(found: list[SeriesSamples]) -> pb.QuerySamplesResponse:
    """Whole or partial series for the wire."""
    return pb.QuerySamplesResponse(
        series=[
            pb.SeriesSamples(
                series=series(each.series),
                timestamps_ms=each.timestamps_ms.tolist(),
                values=each.values.tolist(),
                minimums=() if each.minimums is None else each.minimums.tolist(),
                maximums=() if each.maximums is None else each.maximums.tolist(),
            )
            for each in found
        ]
    )


def metric(name: str) -> str:
    """The name of a metric, or empty for all.

    Raises:
        InvalidInput: INVALID_METRIC.
    """
    if len(name) > _LONGEST_NAME or "\0" in name:
        rule = f"use at most {_LONGEST_NAME} characters, and no NUL"
        raise invalid("metric", rule, "INVALID_METRIC")
    return name


def changed_since_ms(request: pb.ListMetadataRequest) -> int | None:
    """Since when what changed is asked for; None for everything.

    Raises:
        InvalidInput: INVALID_TIME_RANGE.
    """
    if not request.HasField("changed_since"):
        return None
    return _time("changed_since", request.changed_since)


def metadata(known: Known) -> pb.MetricMetadata:
    """What is known of a metric, for the wire."""
    said = known.said
    type = pb.MetricType.Value(f"METRIC_TYPE_{said.type.name}" if said.type.value else UNKNOWN)
    update_time = Timestamp()
    update_time.FromDatetime(known.update_time)
    return pb.MetricMetadata(
        metric=said.name, type=type, unit=said.unit, help=said.help, update_time=update_time
    )


def alert_filter(request: pb.ListAlertsRequest | pb.CountAlertsRequest) -> AlertFilter:
    """Which episodes are asked for.

    Raises:
        InvalidInput: INVALID_SELECTOR, INVALID_STATE, INVALID_SEVERITY or INVALID_TIME_RANGE.
    """
    _check_enums(request)
    wanted = AlertFilter(
        selector=selector(request.selector),
        state=request.state,
        min_severity=request.min_severity,
        start_time_ms=_optional(request, "start_time"),
        end_time_ms=_optional(request, "end_time"),
        changed_since_ms=_optional(request, "changed_since"),
    )
    start_ms, end_ms = wanted.start_time_ms, wanted.end_time_ms
    if start_ms is not None and end_ms is not None and end_ms < start_ms:
        raise invalid("end_time", "must not be before start_time", "INVALID_TIME_RANGE")
    return wanted


def alert_counts(found: Mapping[tuple[AlertState, Severity], int]) -> pb.CountAlertsResponse:
    """Numbers of episodes for the wire: firing first, then the worst first."""
    ordered = sorted(found.items(), key=lambda each: (each[0][0].value, -each[0][1].value))
    return pb.CountAlertsResponse(
        counts=[
            pb.AlertCount(
                state=state.value,  # type: ignore[arg-type]
                severity=severity.value,  # type: ignore[arg-type]
                count=count,
            )
            for (state, severity), count in ordered
        ]
    )


def alert_question(request: pb.ListAlertsRequest) -> bytes:
    """What a page token is bound to: the request without its page."""
    question = pb.ListAlertsRequest()
    question.CopyFrom(request)
    question.ClearField("page_token")
    question.ClearField("page_size")
    return question.SerializeToString(deterministic=True)


def alert_id(value: str) -> str:
    """A well-formed alert_id.

    Raises:
        InvalidInput: INVALID_ALERT_ID.
    """
    if not _ALERT_ID.fullmatch(value):
        rule = "use an alert_id that Sensus gave, such as 0123456789abcdef-1700000000000"
        raise invalid("alert_id", rule, "INVALID_ALERT_ID")
    return value


def _check_enums(request: pb.ListAlertsRequest | pb.CountAlertsRequest) -> None:
    if request.state and request.state not in {each.value for each in AlertState}:
        raise invalid("state", "must be firing or resolved", "INVALID_STATE")
    if request.min_severity and request.min_severity not in {each.value for each in Severity}:
        raise invalid("min_severity", "must be info, warning or critical", "INVALID_SEVERITY")


def _optional(request: pb.ListAlertsRequest | pb.CountAlertsRequest, field: str) -> int | None:
    if not request.HasField(field):  # type: ignore[arg-type]
        return None
    return _time(field, getattr(request, field))


def _time(field: str, stamp: Timestamp) -> int:
    if not is_time(stamp):
        raise invalid(field, "must lie between 1970 and 9999", "INVALID_TIME_RANGE")
    return time_ms(stamp)
