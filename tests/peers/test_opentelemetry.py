"""The exporters of OpenTelemetry for Python, by gRPC and HTTP: what they measure reads back."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as ByGrpc
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as ByHttp
from opentelemetry.sdk.metrics import Counter, Histogram
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExporter

from cli.product.tokens import user_token
from tests.peers.measured import ROUNDS, measure, read_back
from tests.product import Door

pytestmark = [pytest.mark.peers, pytest.mark.timeout(120)]

DELTA = {
    Counter: AggregationTemporality.DELTA,
    Histogram: AggregationTemporality.DELTA,
}


def by_grpc(door: Door, token: str, **more: Any) -> MetricExporter:
    target = f"http://{door.product.run.ingest_target}"
    return ByGrpc(target, insecure=True, headers=(("authorization", f"Bearer {token}"),), **more)


def by_http(door: Door, token: str, **more: Any) -> MetricExporter:
    return ByHttp(
        f"{door.product.run.gateway_url}/v1/metrics",
        headers={"authorization": f"Bearer {token}"},
        compression=Compression.Gzip,
        **more,
    )


@pytest.mark.parametrize("way", [by_grpc, by_http])
@pytest.mark.parametrize("temporality", [{}, DELTA], ids=["cumulative", "delta"])
async def test_what_the_sdk_measures_reads_back(
    door: Door, way: Callable[..., MetricExporter], temporality: dict[Any, Any]
) -> None:
    name = f"peer_{way.__name__}_{len(temporality)}"
    token = user_token(door.product.directory, scopes=["write:samples"])
    exporter = way(door, token, preferred_temporality=temporality)
    await asyncio.to_thread(measure, exporter, name)
    found = await read_back(door, name)
    assert found["peer_requests_total"] == [3, 6, 9]
    assert found["peer_depth"] == [0, 1, 2]
    assert found["peer_latency_seconds_count"] == [2, 4, 6]
    assert found["peer_latency_seconds_sum"] == pytest.approx([0.3, 0.6, 0.9])
    assert found["peer_size_bytes_count"] == [2, 4, 6]
    # cumulative ones need an earlier histogram to know what their step is
    steps = ROUNDS if temporality else ROUNDS - 1
    assert len(found["peer_latency_seconds0.5"]) == steps
    assert found["peer_size_bytes0.5"] == pytest.approx([1000] * steps, rel=0.05)
    assert found["target_info"] == [1]
