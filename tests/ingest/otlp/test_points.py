"""Points of gauges and sums: each is a value, a difference, the end of its series, or refused."""

import math
import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from services.ingest.otlp.metrics import OtlpMetricsReader
from tests.properties import examples

STALE = bytes.fromhex("020000000000f07f")
DOUBLES = [1.5, -0.0, math.inf, math.nan, struct.unpack("<d", STALE)[0]]
VALUES = st.none() | st.sampled_from(DOUBLES) | st.integers(-(2**63), 2**63 - 1)
POINTS = st.lists(st.tuples(VALUES, st.booleans()), min_size=1, max_size=4)
METRICS = st.lists(st.tuples(st.sampled_from([None, 0, 1, 2, 3]), POINTS), max_size=4)
"""Its temporality, None for a gauge; of each point its value, and whether it ends the series."""


def request_of(metrics: Any) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    for number, (temporality, points) in enumerate(metrics):
        metric = scope.metrics.add(name=f"m{number}")
        data: Any = metric.gauge if temporality is None else metric.sum
        data.SetInParent()
        if temporality is not None:
            data.aggregation_temporality = temporality
        for at, (value, ends) in enumerate(points, 1):
            point = data.data_points.add(time_unix_nano=at * 10**6, flags=int(ends))
            if value is not None:
                setattr(point, "as_int" if isinstance(value, int) else "as_double", value)
    return request


def expected(metric: pb.Metric) -> list[tuple[bytes, bool] | str]:
    """Of each point the bits of its value and whether it is a difference, or why it is refused."""
    is_sum = metric.HasField("sum")
    temporality = metric.sum.aggregation_temporality if is_sum else 2
    data: Any = metric.sum if is_sum else metric.gauge
    return [expected_of(point, temporality) for point in data.data_points]


def expected_of(point: pb.NumberDataPoint, temporality: int) -> tuple[bytes, bool] | str:
    kind = point.WhichOneof("value")
    if temporality not in (1, 2) or (kind is None and not point.flags):
        return "the point has no value"
    value = float(point.as_int) if kind == "as_int" else point.as_double
    bits = STALE if point.flags else struct.pack("<d", value)
    if temporality == 2 or bits == STALE:
        return bits, False
    return (bits, True) if math.isfinite(value) else "a difference must be a finite number"


@examples(150)
@given(metrics=METRICS)
def test_each_point_is_what_objects_say(metrics: Any) -> None:
    request = request_of(metrics)
    batch = OtlpMetricsReader().read(request.SerializeToString()).batch
    found: dict[int, tuple[bytes, bool] | str] = {}
    rows = zip(batch.records.tolist(), batch.values.tolist(), batch.is_delta.tolist(), strict=True)
    bits = [batch.values[place : place + 1].tobytes() for place in range(len(batch.values))]
    for (record, _, is_delta), each in zip(rows, bits, strict=True):
        found[record] = each, is_delta
    for broken in batch.broken:
        found |= dict.fromkeys(broken.records.tolist(), broken.message)
    metrics_sent = request.resource_metrics[0].scope_metrics[0].metrics
    want = [each for metric in metrics_sent for each in expected(metric)]
    assert len(found) == len(want)
    for place, each in enumerate(want):
        if isinstance(each, str):
            assert str(found[place]).startswith(each)
        else:
            assert found[place] == each
