"""OTLP metrics in JSON as the protobuf message that ingest reads.

Descriptions, scopes and attributes of exemplars are not looked at.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2

from services.gateway.intake.otlp_json_values import (
    Attribute,
    Camel,
    Integer,
    Number,
    Resource,
    attributes,
    enum,
    message,
)

_LEAST, _MOST = -(2**63), 2**63 - 1
_TEMPORALITIES: Final = {
    "AGGREGATION_TEMPORALITY_UNSPECIFIED": 0,
    "AGGREGATION_TEMPORALITY_DELTA": 1,
    "AGGREGATION_TEMPORALITY_CUMULATIVE": 2,
}


class _Point(Camel):
    attributes: Sequence[Attribute] = ()
    start_time_unix_nano: Integer = 0
    time_unix_nano: Integer = 0
    flags: Integer = 0


class _Exemplar(Camel):
    time_unix_nano: Integer = 0
    as_double: Number | None = None
    as_int: Integer | None = None
    trace_id: str = ""
    span_id: str = ""


class _NumberPoint(_Point):
    as_double: Number | None = None
    as_int: Integer | None = None
    exemplars: Sequence[_Exemplar] = ()


class _HistogramPoint(_Point):
    count: Integer = 0
    sum: Number | None = None
    bucket_counts: Sequence[Integer] = ()
    explicit_bounds: Sequence[Number] = ()
    exemplars: Sequence[_Exemplar] = ()


class _Buckets(Camel):
    offset: Integer = 0
    bucket_counts: Sequence[Integer] = ()


class _ExponentialPoint(_Point):
    count: Integer = 0
    sum: Number | None = None
    scale: Integer = 0
    zero_count: Integer = 0
    zero_threshold: Number = 0.0
    positive: _Buckets | None = None
    negative: _Buckets | None = None
    exemplars: Sequence[_Exemplar] = ()


class _Quantile(Camel):
    quantile: Number = 0.0
    value: Number = 0.0


class _SummaryPoint(_Point):
    count: Integer = 0
    sum: Number = 0.0
    quantile_values: Sequence[_Quantile] = ()


class _Gauge(Camel):
    data_points: Sequence[_NumberPoint] = ()


class _Sum(_Gauge):
    aggregation_temporality: Integer = 0
    is_monotonic: bool = False


class _Histogram(Camel):
    data_points: Sequence[_HistogramPoint] = ()
    aggregation_temporality: Integer = 0


class _Exponential(Camel):
    data_points: Sequence[_ExponentialPoint] = ()
    aggregation_temporality: Integer = 0


class _Summary(Camel):
    data_points: Sequence[_SummaryPoint] = ()


class _Metric(Camel):
    name: str = ""
    unit: str = ""
    gauge: _Gauge | None = None
    sum: _Sum | None = None
    histogram: _Histogram | None = None
    exponential_histogram: _Exponential | None = None
    summary: _Summary | None = None


class _Scope(Camel):
    metrics: Sequence[_Metric] = ()


class _ResourceMetrics(Camel):
    resource: Resource | None = None
    scope_metrics: Sequence[_Scope] = ()


class _Request(Camel):
    resource_metrics: Sequence[_ResourceMetrics] = ()


def metrics_message(body: bytes) -> bytes:
    """An ExportMetricsServiceRequest, from JSON to protobuf.

    Raises:
        BodyTooLarge: It may hold more than a million objects and lists.
        InvalidInput: JSON_BROKEN, or INVALID_FIELD naming the place.
    """
    return message(body, _Request, _filled)


def _filled(sent: _Request) -> ExportMetricsServiceRequest:
    made = ExportMetricsServiceRequest()
    for each in sent.resource_metrics:
        _add_resource(made, each)
    return made


def _add_resource(request: ExportMetricsServiceRequest, sent: _ResourceMetrics) -> None:
    made = request.resource_metrics.add()
    if sent.resource:
        attributes(made.resource.attributes, sent.resource.attributes)
    metrics = made.scope_metrics.add().metrics
    for scope in sent.scope_metrics:
        for each in scope.metrics:
            _metric(metrics.add(name=each.name, unit=each.unit), each)


def _metric(made: metrics_pb2.Metric, sent: _Metric) -> None:
    if sent.gauge:
        _points(made.gauge, sent.gauge.data_points, _number)
    if sent.sum:
        _points(made.sum, sent.sum.data_points, _number)
        made.sum.is_monotonic = sent.sum.is_monotonic
        _temporality(made.sum, sent.sum.aggregation_temporality)
    if sent.histogram:
        _points(made.histogram, sent.histogram.data_points, _histogram)
        _temporality(made.histogram, sent.histogram.aggregation_temporality)
    if sent.exponential_histogram:
        exponential = sent.exponential_histogram
        _points(made.exponential_histogram, exponential.data_points, _exponential)
        _temporality(made.exponential_histogram, exponential.aggregation_temporality)
    if sent.summary:
        _points(made.summary, sent.summary.data_points, _summary)


def _points(made: Any, sent: Sequence[Any], fill: Callable[[Any, Any], None]) -> None:
    made.SetInParent()
    for each in sent:
        point = made.data_points.add(
            start_time_unix_nano=int(each.start_time_unix_nano),
            time_unix_nano=int(each.time_unix_nano),
            flags=int(each.flags),
        )
        attributes(point.attributes, each.attributes)
        fill(point, each)


def _number(made: metrics_pb2.NumberDataPoint, sent: _NumberPoint) -> None:
    _value(made, sent)
    _exemplars(made.exemplars, sent.exemplars)


def _value(made: Any, sent: _NumberPoint | _Exemplar) -> None:
    if sent.as_int is not None:
        value = int(sent.as_int)
        if _LEAST <= value <= _MOST:
            made.as_int = value  # otherwise a point without a value, which is refused alone
    elif sent.as_double is not None:
        made.as_double = float(sent.as_double)


def _histogram(made: metrics_pb2.HistogramDataPoint, sent: _HistogramPoint) -> None:
    made.count = int(sent.count)
    if sent.sum is not None:
        made.sum = float(sent.sum)
    made.bucket_counts.extend(map(int, sent.bucket_counts))
    made.explicit_bounds.extend(map(float, sent.explicit_bounds))
    _exemplars(made.exemplars, sent.exemplars)


def _exponential(made: metrics_pb2.ExponentialHistogramDataPoint, sent: _ExponentialPoint) -> None:
    made.count, made.scale = int(sent.count), int(sent.scale)
    made.zero_count, made.zero_threshold = int(sent.zero_count), float(sent.zero_threshold)
    if sent.sum is not None:
        made.sum = float(sent.sum)
    for side, buckets in ((made.positive, sent.positive), (made.negative, sent.negative)):
        if buckets:
            side.offset = int(buckets.offset)
            side.bucket_counts.extend(map(int, buckets.bucket_counts))
    _exemplars(made.exemplars, sent.exemplars)


def _exemplars(made: Any, sent: Sequence[_Exemplar]) -> None:
    for each in sent:
        try:
            trace_id, span_id = bytes.fromhex(each.trace_id), bytes.fromhex(each.span_id)
        except ValueError:  # an example that leads nowhere costs no point
            continue
        one = made.add(time_unix_nano=int(each.time_unix_nano), trace_id=trace_id, span_id=span_id)
        _value(one, each)


def _summary(made: metrics_pb2.SummaryDataPoint, sent: _SummaryPoint) -> None:
    made.count, made.sum = int(sent.count), float(sent.sum)
    for each in sent.quantile_values:
        made.quantile_values.add(quantile=float(each.quantile), value=float(each.value))


def _temporality(made: Any, sent: Integer) -> None:
    made.aggregation_temporality = enum(sent, _TEMPORALITIES)
