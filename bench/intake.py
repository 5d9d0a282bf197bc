"""Reading bodies of other systems, beside protobuf objects, in one run.

Both give the same columns: the label set of each series, looked up by what was read, and the time
and value of each sample. CPU time of the best of rounds that alternate, which a busy machine moves
least; trust the ratio.

    make bench-intake      or   python -m bench.intake [--rounds 40] [--least 4]
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from rich.console import Console
from rich.table import Table

from services.ingest.model.definitions import definition
from services.ingest.otlp.metrics import OtlpMetricsReader
from services.ingest.prometheus.remote_write import RemoteWriteReader
from tests.ingest.prometheus.messages import Request, WriteRequest

SIZES = (100, 500, 2000, 10_000)
"""Series in a body, with one sample each: one program's SDK, Prometheus 2 and 3, a Collector."""
_LEAST_SIZE = 500

console = Console(width=100)


def main() -> None:
    """Prints a row for each format and size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="of each measurement")
    asked = with_least(parser).parse_args()
    rounds, ratios = asked.rounds, dict[tuple[str, int], float]()
    table = Table(title="samples a second and core: objects, columns, and the ratio")
    for column in ("format", "samples", "bytes", "objects", "columns", "ratio"):
        table.add_column(column, justify="right")
    for series in SIZES:
        reader = RemoteWriteReader()
        v1, v2 = v1_body(series), v2_body(series)
        ratios |= row(table, "remote write 1.0", series, v1, objects_v1(), reader.read_v1, rounds)
        ratios |= row(table, "remote write 2.0", series, v2, objects_v2(), reader.read_v2, rounds)
    for points in SIZES:
        otlp = otlp_body(points)
        columns = OtlpMetricsReader()
        columns.committed(columns.read(otlp))  # `target_info` goes along once an hour
        ratios |= row(table, "OTLP numbers", points, otlp, objects_otlp(), columns.read, rounds)
    console.print(table)
    check(ratios, asked.least)


def with_least(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """With an option for machines that watch for regressions."""
    parser.add_argument(
        "--least",
        type=float,
        default=0.0,
        help=f"exit 1 when a ratio of a body of {_LEAST_SIZE} is lower",
    )
    return parser


def check(ratios: Mapping[tuple[str, int], float], least: float) -> None:
    """Ends the process with 1 when a ratio is too low.

    Smaller bodies are mostly overhead, a tenth of a millisecond each.
    """
    low = [f"{name}: {ratio:.1f}" for (name, size), ratio in ratios.items()
           if size >= _LEAST_SIZE and ratio < least]  # fmt: skip
    if low:
        sys.exit(f"less than {least} times as fast as protobuf objects: {', '.join(low)}")


def row(
    table: Table,
    name: str,
    samples: int,
    body: bytes,
    objects: Callable[[bytes], Any],
    columns: Callable[[bytes], Any],
    rounds: int,
) -> dict[tuple[str, int], float]:
    """Measures both ways in turn; the ratio by name and size."""
    seen = [(cpu_s(objects, body), cpu_s(columns, body)) for _ in range(rounds + 2)][2:]
    slow, fast = (min(each) for each in zip(*seen, strict=True))
    figures = f"{samples / slow:,.0f}", f"{samples / fast:,.0f}", f"{slow / fast:.1f}"
    table.add_row(name, f"{samples:,}", f"{len(body):,}", *figures)
    return {(name, samples): slow / fast}


def cpu_s(read: Callable[[bytes], Any], body: bytes) -> float:
    """CPU seconds of one body."""
    started = time.process_time()
    read(body)
    return time.process_time() - started


def label_sets(series: int) -> list[dict[str, str]]:
    """What a node exporter's series look like."""
    return [
        {
            "__name__": "node_cpu_seconds_total",
            "cluster": "prod-eu-1",
            "cpu": str(n % 64),
            "environment": "production",
            "instance": f"10.0.{n // 256}.{n % 256}:9100",
            "job": "node-exporter",
            "mode": "idle",
            "namespace": "monitoring",
            "pod": f"node-exporter-{n:05d}",
            "service": "node",
        }
        for n in range(series)
    ]


def v1_body(series: int) -> bytes:
    """A body of 1.0."""
    request = WriteRequest()
    for n, labels in enumerate(label_sets(series)):
        one = request.timeseries.add()
        for name, value in labels.items():
            one.labels.add(name=name, value=value)
        one.samples.add(value=n / 7, timestamp=1_700_000_000_000 + n)
    return bytes(request.SerializeToString())


def v2_body(series: int) -> bytes:
    """A body of 2.0."""
    request, places = Request(), {"": 0}
    for n, labels in enumerate(label_sets(series)):
        one = request.timeseries.add()
        for pair in labels.items():
            one.labels_refs.extend(places.setdefault(text, len(places)) for text in pair)
        one.samples.add(value=n / 7, timestamp=1_700_000_000_000 + n)
    request.symbols.extend(places)
    return bytes(request.SerializeToString())


def objects_v1() -> Callable[[bytes], Any]:
    """Reads 1.0 by message objects; known label sets are remembered as they are by columns."""
    known: dict[Any, Any] = {}

    def read(body: bytes) -> Any:
        definitions, owners, times, values = [], [], [], []
        for place, series in enumerate(WriteRequest.FromString(body).timeseries):
            pairs = tuple((label.name, label.value) for label in series.labels)
            definitions.append(known.get(pairs) or known.setdefault(pairs, definition(pairs)))
            for sample in series.samples:
                owners.append(place)
                times.append(sample.timestamp)
                values.append(sample.value)
        return definitions, np.array(owners), np.array(times), np.array(values)

    return read


def objects_v2() -> Callable[[bytes], Any]:
    """Reads 2.0 by message objects."""
    known: dict[Any, Any] = {}

    def read(body: bytes) -> Any:
        definitions, owners, times, values = [], [], [], []
        request = Request.FromString(body)
        symbols = list(request.symbols)
        for place, series in enumerate(request.timeseries):
            texts = [symbols[ref] for ref in series.labels_refs]
            pairs = tuple(zip(texts[::2], texts[1::2], strict=True))
            definitions.append(known.get(pairs) or known.setdefault(pairs, definition(pairs)))
            for sample in series.samples:
                owners.append(place)
                times.append(sample.timestamp)
                values.append(sample.value)
        return definitions, np.array(owners), np.array(times), np.array(values)

    return read


def otlp_body(points: int) -> bytes:
    """Counters and gauges of one service, ten points a metric, four attributes each."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    for key in ("service.name", "service.version", "host.name", "k8s.pod.name"):
        resource.resource.attributes.add(key=key).value.string_value = f"the {key} of this"
    metrics = resource.scope_metrics.add().metrics
    for n in range(points):
        if n % 10 == 0:
            metric = metrics.add(name=f"http.server.requests.{n}", unit="{request}")
            is_sum = n % 20 == 0
            data: Any = metric.sum if is_sum else metric.gauge
            if is_sum:
                data.aggregation_temporality, data.is_monotonic = 2, True
        point = data.data_points.add(time_unix_nano=1_700_000_000 * 10**9 + n, as_double=n / 7)
        for key in ("http.route", "http.request.method", "server.address", "n"):
            point.attributes.add(key=key).value.string_value = f"{key} {n % 10}"
    return bytes(request.SerializeToString())


def objects_otlp() -> Callable[[bytes], Any]:
    """Reads numbers of OTLP by message objects."""
    known: dict[Any, Any] = {}

    def read(body: bytes) -> Any:
        definitions, times, values = [], [], []
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            who = tuple(
                (each.key, each.value.string_value) for each in resource.resource.attributes
            )
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    data: Any = metric.sum if metric.HasField("sum") else metric.gauge
                    for point in data.data_points:
                        pairs = tuple((a.key, a.value.string_value) for a in point.attributes)
                        key = who, metric.name, metric.unit, pairs
                        definitions.append(
                            known.get(key)
                            or known.setdefault(key, definition([("__name__", metric.name)]))
                        )
                        times.append(point.time_unix_nano // 1_000_000)
                        kind: str = point.WhichOneof("value")
                        values.append(point.as_int if kind == "as_int" else point.as_double)
        return definitions, np.array(times), np.array(values)

    return read


if __name__ == "__main__":
    main()
