"""OTLP read by columns says what the same request says as protobuf objects."""

import struct
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from mesh.errors import InvalidInput
from services.ingest.model.labels import SeriesKey
from services.ingest.naming import label_name, metric_name
from services.ingest.otlp import resources
from services.ingest.otlp.attributes import promoted
from services.ingest.otlp.metrics import OtlpMetricsReader
from services.ingest.wire.fields import Fields, chunk
from tests.properties import examples

KEYS = st.sampled_from(["http.route", "k", "1st", "_x", "a-b", "a.b"])
VALUES = st.sampled_from(["/x", "ø", "", 5, True, 1.5])
ATTRIBUTES = st.dictionaries(KEYS, VALUES, max_size=4)
NAMES = st.sampled_from(["http.requests", "queue-depth", "2xx", "total_bytes"])
UNITS = st.sampled_from(["", "1", "s", "By", "{request}", "By/s"])
TIMES_MS = st.integers(1, 2**40)
NUMBERS = st.floats(allow_nan=False) | st.integers(-(2**63), 2**63 - 1)
POINTS = st.lists(st.tuples(ATTRIBUTES, TIMES_MS, NUMBERS), max_size=4)
METRICS = st.lists(
    st.tuples(NAMES, UNITS, st.sampled_from(["gauge", "counter", "updown"]), POINTS), max_size=4
)
RESOURCES = st.lists(st.tuples(ATTRIBUTES, METRICS), max_size=3)


def fill(made: Any, attributes: dict[str, Any]) -> None:
    """Attributes of any type."""
    for key, value in attributes.items():
        kind = {str: "string", int: "int", bool: "bool", float: "double"}[type(value)]
        setattr(made.add(key=key).value, f"{kind}_value", value)


def request_of(resources: Any) -> ExportMetricsServiceRequest:
    """A request of numbers."""
    request = ExportMetricsServiceRequest()
    for attributes, metrics in resources:
        resource = request.resource_metrics.add()
        fill(resource.resource.attributes, {"service.name": "shop"} | attributes)
        scope = resource.scope_metrics.add()
        for name, unit, kind, points in metrics:
            metric = scope.metrics.add(name=name, unit=unit, description="skipped")
            data = metric.gauge if kind == "gauge" else metric.sum
            data.SetInParent()
            if kind != "gauge":
                data.aggregation_temporality, data.is_monotonic = 2, kind == "counter"
            for point_attributes, at_ms, value in points:
                point = data.data_points.add(time_unix_nano=at_ms * 10**6 + 7)
                fill(point.attributes, point_attributes)
                setattr(point, "as_int" if isinstance(value, int) else "as_double", value)
                point.exemplars.add(as_int=3, trace_id=b"x" * 16)
    return request


def by_objects(request: ExportMetricsServiceRequest) -> list[tuple[Any, int, bytes]]:
    """Labels, time and bits of the value, metric by metric."""
    return [
        row
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for row in rows_of(metric)
    ]


def rows_of(metric: pb.Metric) -> list[tuple[Any, int, bytes]]:
    field = metric.WhichOneof("data") or ""
    data: Any = getattr(metric, field)
    is_counter = field == "sum" and data.is_monotonic
    name = metric_name(metric.name, metric.unit, is_counter=is_counter, is_gauge=field == "gauge")
    rows = []
    for point in data.data_points:
        labels: dict[str, str] = {}
        for each in sorted(point.attributes, key=lambda attribute: attribute.key):
            key, value = label_name(each.key), text(each.value)
            labels[key] = f"{labels[key]};{value}" if key in labels else value
        labels |= {"__name__": name, "job": "shop", "service": "shop"}
        value = float(getattr(point, point.WhichOneof("value")))
        shown = tuple(sorted((k, v) for k, v in labels.items() if v))
        rows.append((shown, point.time_unix_nano // 10**6, struct.pack("<d", value)))
    return rows


def text(value: Any) -> str:
    plain = getattr(value, value.WhichOneof("value"))
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return str(plain)


def by_columns(reader: OtlpMetricsReader, body: bytes) -> list[tuple[Any, int, bytes]]:
    batch = reader.read(body).batch
    counted = zip(batch.definitions, batch.counts.tolist(), strict=True)
    owners = [getattr(known, "labels", known) for known, count in counted for _ in range(count)]
    bits = [struct.pack("<d", value) for value in batch.values.tolist()]
    rows = zip(owners, batch.timestamps_ms.tolist(), bits, batch.records.tolist(), strict=True)
    return [row[:3] for row in rows if row[3] >= 0]


@examples(80)
@given(resources=RESOURCES)
def test_numbers_are_read_as_objects_are(resources: Any) -> None:
    request, reader = request_of(resources), OtlpMetricsReader()
    for _ in range(2):  # the second time from memory
        assert by_columns(reader, request.SerializeToString()) == by_objects(request)


@examples(100)
@given(resources=RESOURCES, data=st.data())
def test_a_broken_request_is_never_our_fault(resources: Any, data: st.DataObject) -> None:
    good = bytes(request_of(resources).SerializeToString()) or b"\0"
    at, bit = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(0, 7))
    cut = data.draw(st.booleans())
    body = good[:at] if cut else good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :]
    try:
        OtlpMetricsReader().read(body)
    except InvalidInput:
        if not any(byte & 7 in (3, 4) for byte in body):
            with pytest.raises(DecodeError):
                ExportMetricsServiceRequest.FromString(body)


@pytest.mark.parametrize(
    ("name", "unit", "kind", "want"),
    [
        ("http.server.duration", "s", "", "http_server_duration_seconds"),
        ("http.server.duration", "ms", "", "http_server_duration_milliseconds"),
        ("http.requests", "{request}", "counter", "http_requests_total"),
        ("requests.total", "1", "counter", "requests_total"),
        ("memory.bytes", "By", "gauge", "memory_bytes"),
        ("cpu.utilization", "1", "gauge", "cpu_utilization_ratio"),
        ("network.io", "By/s", "", "network_io_bytes_per_second"),
        ("speed", "m/{lap}", "", "speed_meters"),
        ("2xx", "", "", "_2xx"),
        ("a..b--c", "", "", "a_b_c"),
        ("load", "%", "gauge", "load_percent"),
    ],
)
def test_names_are_those_of_prometheus(name: str, unit: str, kind: str, want: str) -> None:
    is_counter, is_gauge = kind == "counter", kind == "gauge"
    assert metric_name(name, unit, is_counter=is_counter, is_gauge=is_gauge) == want


def histogram(at_ms: int, counts: list[int], temporality: int = 2) -> bytes:
    """A request with one histogram whose buckets end at 1, 2 and 4."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="latency")
    metric.histogram.aggregation_temporality = temporality
    point = metric.histogram.data_points.add(
        time_unix_nano=at_ms * 10**6, count=sum(counts), sum=3.0
    )
    point.explicit_bounds.extend([1, 2, 4])
    point.bucket_counts.extend(counts)
    return bytes(request.SerializeToString())


def values(reader: OtlpMetricsReader, body: bytes) -> dict[str, float]:
    """Value by name and quantile."""
    batch = reader.read(body).batch
    named = {}
    for known, value in zip(batch.definitions, batch.values.tolist(), strict=True):
        assert isinstance(known, SeriesKey)
        labels = dict(known.labels)
        named[labels["__name__"] + labels.get("quantile", "")] = value
    return named


def test_a_histogram_is_its_count_its_sum_and_quantiles_of_its_step() -> None:
    reader = OtlpMetricsReader()
    first = values(reader, histogram(1000, [9, 0, 0, 0]))
    assert first == {"latency_count": 9, "latency_sum": 3}
    second = values(reader, histogram(2000, [9, 4, 0, 0]))
    assert second["latency0.5"] == pytest.approx(1.5)
    assert second["latency0.99"] == pytest.approx(1.99)
    third = values(reader, histogram(3000, [9, 4, 0, 2]))
    assert third["latency0.5"] == 4.0  # behind the last bound nothing is known but the bound


def test_a_histogram_that_is_refused_leaves_the_quantiles_of_the_next_ones_alone() -> None:
    reader = OtlpMetricsReader()
    unspecified, years_ahead = histogram(1500, [9, 9, 9, 9], temporality=0), 10**12
    for body in (histogram(1000, [9, 0, 0, 0]), unspecified, histogram(years_ahead, [9, 9, 9, 9])):
        reader.read(body, latest_ms=300_000)
    read = reader.read(histogram(2000, [9, 4, 0, 0]), latest_ms=300_000)
    assert read.batch.values.tolist() == pytest.approx([13, 3, 1.5, 1.95, 1.99])


def test_a_resource_says_who_it_is_now_whatever_its_points_say() -> None:
    points = [({}, 1000, 1), ({"k": "v"}, 10**12, 1)]
    body = request_of([({}, [("up", "", "gauge", points)])]).SerializeToString()
    batch = OtlpMetricsReader().read(body, latest_ms=300_000).batch
    assert dict(batch.definitions[-1].labels)["__name__"] == "target_info"
    assert batch.timestamps_ms.tolist() == [1000, 10**12, 1000]


def test_a_summary_of_too_many_quantiles_is_refused_before_they_are_kept() -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="latency")
    point = metric.summary.data_points.add(time_unix_nano=10**15)
    point.quantile_values.extend([pb.SummaryDataPoint.ValueAtQuantile()] * 100_001)
    with pytest.raises(InvalidInput, match="in parts"):
        OtlpMetricsReader().read(request.SerializeToString())


def test_a_histogram_of_differences_is_a_step_by_itself() -> None:
    found = values(OtlpMetricsReader(), histogram(1000, [0, 0, 10, 0], temporality=1))
    assert found["latency0.5"] == pytest.approx(3.0)


@pytest.mark.parametrize("counts", [[1, 2], [1, 2, 3, 4, 5]])
def test_a_histogram_whose_bounds_do_not_fit_is_refused_alone(counts: list[int]) -> None:
    batch = OtlpMetricsReader().read(histogram(1000, counts)).batch
    assert [each.records.tolist() for each in batch.broken] == [[0]]
    assert not len(batch.values)


def test_an_exponential_histogram_is_read_on_both_sides_of_zero() -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="change")
    metric.exponential_histogram.aggregation_temporality = 1
    point = metric.exponential_histogram.data_points.add(
        time_unix_nano=10**15, count=10, sum=0, scale=0, zero_count=2, zero_threshold=0.5
    )
    point.negative.bucket_counts.extend([4])  # from -2 to -1
    point.positive.offset = 2  # from 4 to 8
    point.positive.bucket_counts.extend([4])
    found = values(OtlpMetricsReader(), request.SerializeToString())
    assert found["change0.5"] == pytest.approx(0.0)
    assert 4 < found["change0.95"] < found["change0.99"] <= 8


def test_a_resource_says_who_it_is_once_an_hour() -> None:
    reader = OtlpMetricsReader()
    request = request_of([({"k": "v"}, [("up", "", "gauge", [({}, 10**12, 1)])])])
    body = request.SerializeToString()
    assert values(reader, body)["target_info"] == 1.0
    assert "target_info" in values(reader, body)  # nothing was committed yet
    reader.committed(reader.read(body))
    assert "target_info" not in values(reader, body)
    request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0].time_unix_nano += (
        3600 * 10**9
    )
    assert "target_info" in values(reader, request.SerializeToString())


def test_a_resource_is_parsed_once_however_many_points_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed: list[Any] = []
    monkeypatch.setattr(resources, "promoted", lambda each: parsed.append(each) or promoted(each))
    points = [({"k": str(number)}, 10**12, 1) for number in range(50)]
    request = request_of([({}, [("up", "", "gauge", points), ("down", "", "gauge", points)])])
    assert len(OtlpMetricsReader().read(request.SerializeToString()).batch.definitions) == 101
    assert len(parsed) == 1


@pytest.mark.parametrize("more", [{f"k{n}": "v" for n in range(512)}, {"k": "v" * 65_536}])
def test_points_of_a_resource_that_is_too_large_are_refused(more: dict[str, Any]) -> None:
    points = ("up", "", "gauge", [({}, 10**12, 1)])
    batch = (
        OtlpMetricsReader()
        .read(request_of([(more, [points]), ({}, [points])]).SerializeToString())
        .batch
    )
    refused, good, target = batch.definitions
    assert "the resource has more than" in str(refused)
    assert isinstance(good, SeriesKey)
    assert isinstance(target, SeriesKey)


def test_a_point_keeps_its_own_labels_but_for_job_and_instance() -> None:
    request = request_of(
        [({"k8s.pod.name": "a"}, [("up", "", "gauge", [({"pod": "b", "job": "x"}, 10**12, 1)])])]
    )
    key = OtlpMetricsReader().read(request.SerializeToString()).batch.definitions[0]
    assert isinstance(key, SeriesKey)
    assert {"pod": "b", "job": "shop", "service": "shop"}.items() <= dict(key.labels).items()


def test_attributes_that_do_not_lie_together_cost_no_copy_of_the_body_each() -> None:
    """A point may put its time between its attributes: its parts are joined, once for all."""
    one, other = (pb.NumberDataPoint(attributes=[{"key": key}]).SerializeToString() for key in "ab")
    between = pb.NumberDataPoint(time_unix_nano=1).SerializeToString()
    point = one + between + other
    body = b"".join(bytes([10, len(point)]) + point for _ in range(9))
    fields = Fields(body, Fields.of_body(body).spans(chunk(1)))
    joined, spans = fields.runs((chunk(7),), body)
    assert spans.of(joined) == [one + other] * 9
    assert len(joined) == len(body) + 9 * len(one + other)


def part(number: int, content: bytes) -> bytes:
    """A message as a field of another."""
    size, length = len(content), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def test_fields_in_an_unusual_order_say_the_same() -> None:
    """A metric may have its points between its name and its unit, a point its attributes apart."""
    request = request_of([({}, [("io", "By", "counter", [({"k": "v", "a.b": 1}, 10**12, 2)])])])
    metric = request.resource_metrics[0].scope_metrics[0].metrics[0]
    point = metric.sum.data_points[0]
    one, other = (pb.NumberDataPoint(attributes=[each]) for each in point.attributes)
    del point.attributes[:]
    mixed = one.SerializeToString() + point.SerializeToString() + other.SerializeToString()
    data = pb.Sum(aggregation_temporality=2, is_monotonic=True).SerializeToString()
    unit = pb.Metric(unit="By").SerializeToString()
    name = pb.Metric(name="io").SerializeToString()
    scope = part(2, unit + part(7, data + part(1, mixed)) + name)
    body = part(
        1, part(1, request.resource_metrics[0].resource.SerializeToString()) + part(2, scope)
    )
    assert by_columns(OtlpMetricsReader(), body) == by_objects(
        ExportMetricsServiceRequest.FromString(body)
    )


def test_a_body_of_more_records_than_the_one_before_is_read_whole() -> None:
    points = [({"k": str(number)}, 10**12, number) for number in range(700)]
    reader = OtlpMetricsReader()
    for count in (1, 700, 3):
        request = request_of([({}, [("up", "", "gauge", points[:count])])])
        assert by_columns(reader, request.SerializeToString()) == by_objects(request)
