"""What a program measures with the SDK of OpenTelemetry, and what of it is stored."""

import json
import time
from datetime import UTC, datetime

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from tests.product import Door

ROUNDS = 3


def measure(exporter: MetricExporter, name: str) -> None:
    """Three rounds, exported one by one."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))
    view = View(instrument_name="peer.size", aggregation=ExponentialBucketHistogramAggregation())
    resource = Resource.create({"service.name": name, "service.version": "1.2"})
    provider = MeterProvider([reader], resource, shutdown_on_exit=False, views=[view])
    meter = provider.get_meter("peers")
    requests = meter.create_counter("peer.requests", "{request}")
    depth = meter.create_gauge("peer.depth")
    latency = meter.create_histogram("peer.latency", "s")
    size = meter.create_histogram("peer.size", "By")
    for step in range(ROUNDS):
        requests.add(3, {"http.route": "/x"})
        depth.set(step)
        for value in (0.1, 0.2):
            latency.record(value)
        for value in (999, 1001):
            size.record(value)
        assert reader.force_flush()
        time.sleep(0.01)  # so that each round has its own time
    provider.shutdown()


async def read_back(door: Door, name: str) -> dict[str, list[float]]:
    """Values by name and quantile."""
    start = datetime.fromtimestamp(time.time() - 600, UTC).isoformat()
    params = {"selector": f'{{job="{name}"}}', "startTime": start}
    headers = {"Accept": "application/x-ndjson"}
    answer = await door.http.get("/api/v1/samples", params=params, headers=headers)
    found: dict[str, list[float]] = {}
    for line in answer.text.splitlines():
        for each in json.loads(line).get("series", ()):
            labels = {one["name"]: one["value"] for one in each["series"]["labels"]}
            key = labels["__name__"] + labels.get("quantile", "")
            found.setdefault(key, []).extend(each["values"])
    return found
