"""Bodies with every kind of record, broken at random: refused or read, and never our fault."""

import random

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from mesh.errors import InvalidInput
from services.ingest.otlp.metrics import OtlpMetricsReader
from services.ingest.prometheus.remote_write import RemoteWriteReader
from tests.ingest.prometheus.messages import Request, WriteRequest

AT_MS = 10**12
SHORT, LONG = 400, 100_000


def v1_body() -> bytes:
    """Samples, native histograms of every kind, exemplars, metadata."""
    request = WriteRequest()
    for schema in (-53, -4, 0, 8):
        series = request.timeseries.add()
        series.labels.add(name="__name__", value=f"m{schema}")
        series.samples.add(value=1.5, timestamp=AT_MS)
        series.exemplars.add(value=1)
        whole = series.histograms.add(count_int=9, sum=3, schema=schema, timestamp=AT_MS)
        whole.zero_count_int, whole.zero_threshold = 2, 0.1
        whole.positive_spans.add(offset=1, length=2)
        whole.positive_deltas.extend([1, 2])
        whole.negative_spans.add(offset=-1, length=1)
        whole.negative_deltas.append(3)
        whole.custom_values.extend([1, 2, 3])
        real = series.histograms.add(count_float=9, sum=3, schema=schema, timestamp=AT_MS + 1)
        real.positive_spans.add(offset=0, length=3)
        real.positive_counts.extend([1, 2, 3])
    request.metadata.add(type=1, metric_family_name="m", help="h", unit="u")
    return bytes(request.SerializeToString())


def v2_body() -> bytes:
    """Samples, a histogram and metadata, by symbols."""
    request = Request(symbols=["", "__name__", "up", "a", "b"])
    for schema in range(4):
        series = request.timeseries.add(labels_refs=[1, 2, 3, 4], created_timestamp=5)
        series.samples.add(value=1, timestamp=AT_MS, start_timestamp=5)
        series.metadata.type, series.metadata.help_ref, series.metadata.unit_ref = 1, 2, 3
        whole = series.histograms.add(count_int=4, sum=3, schema=schema, timestamp=AT_MS)
        whole.positive_spans.add(offset=1, length=2)
        whole.positive_deltas.extend([1, 2])
    return bytes(request.SerializeToString())


def otlp_body() -> bytes:
    """Every kind of metric, of both temporalities."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    metrics = resource.scope_metrics.add().metrics
    metrics.add(name="g").gauge.data_points.add(time_unix_nano=AT_MS * 10**6, as_int=1)
    for temporality in (1, 2):
        counter = metrics.add(name="c", unit="By")
        counter.sum.aggregation_temporality = temporality
        point = counter.sum.data_points.add(time_unix_nano=AT_MS * 10**6, as_double=1)
        point.attributes.add(key="k").value.array_value.values.add(int_value=1)
        explicit = metrics.add(name="h").histogram
        explicit.aggregation_temporality = temporality
        bucketed = explicit.data_points.add(time_unix_nano=AT_MS * 10**6, count=3, sum=2)
        bucketed.bucket_counts.extend([1, 1, 1])
        bucketed.explicit_bounds.extend([1, 2])
        exponential = metrics.add(name="e").exponential_histogram
        exponential.aggregation_temporality = temporality
        scaled = exponential.data_points.add(time_unix_nano=AT_MS * 10**6, count=3, sum=2, scale=1)
        scaled.positive.bucket_counts.extend([1, 1])
        scaled.negative.bucket_counts.append(1)
    summary = metrics.add(name="s").summary.data_points.add(time_unix_nano=AT_MS * 10**6, count=3)
    summary.quantile_values.add(quantile=0.5, value=1)
    return bytes(request.SerializeToString())


def broken(body: bytes, chance: random.Random) -> bytes:
    """A body with some faults: bits flipped, bytes put in or replaced, the end cut off."""
    made = bytearray(body)
    for _ in range(chance.choice([1, 1, 2, 4])):
        at = chance.randrange(len(made)) if made else 0
        kind = chance.choice(["flip", "flip", "flip", "put", "put", "replace", "cut"])
        if kind == "put" or not made:
            made[at:at] = chance.randbytes(chance.randrange(1, 5))
        elif kind == "flip":
            made[at] ^= 1 << chance.randrange(8)
        elif kind == "replace":
            made[at] = chance.choice([0, 127, 128, 255])
        else:
            del made[at:]
    return bytes(made)


@pytest.mark.parametrize(
    "count", [SHORT, pytest.param(LONG, marks=[pytest.mark.long, pytest.mark.timeout(1200)])]
)
def test_a_broken_body_is_refused_or_read(count: int) -> None:
    chance = random.Random(count)
    prometheus, otlp = RemoteWriteReader(), OtlpMetricsReader()
    kinds = (
        (v1_body(), prometheus.read_v1),
        (v2_body(), prometheus.read_v2),
        (otlp_body(), otlp.read),
    )
    for body, read in kinds:
        found = read(body).batch
        assert len(found.values)
        assert not found.broken
    refused = 0
    for number in range(count):
        body, read = kinds[number % len(kinds)]
        try:
            read(broken(body, chance))
        except InvalidInput:
            refused += 1
    assert 0.2 < refused / count < 0.9
