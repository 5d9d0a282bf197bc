"""A real Collector between a program and us, by each exporter: what it passes on reads back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

from bench.exam import collector as of_exam
from cli.product.tokens import user_token
from tests.peers.conftest import program, running
from tests.peers.measured import measure, read_back
from tests.ports import free_port
from tests.product import Door, eventually

pytestmark = [pytest.mark.peers, pytest.mark.timeout(240)]

# without queues an export is answered when ours is, so nothing is lost at the end of the Collector
CONFIG = """
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters:
  otlp:
    endpoint: "{ingest}"
    tls: {{insecure: true}}
    headers: {{authorization: "Bearer {token}"}}
    sending_queue: {{enabled: false}}
  otlphttp:
    endpoint: "{gateway}"
    headers: {{authorization: "Bearer {token}"}}
    sending_queue: {{enabled: false}}
  prometheusremotewrite:
    endpoint: "{gateway}/api/v1/write"
    headers: {{authorization: "Bearer {token}"}}
    remote_write_queue: {{enabled: false}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{metrics: {{receivers: [otlp], exporters: [{exporter}]}}}}
"""


@asynccontextmanager
async def collector(door: Door, directory: Path, exporter: str) -> AsyncIterator[int]:
    """A Collector that passes everything on by one exporter; the port at which it listens."""
    port = free_port()
    config = CONFIG.format(
        port=port,
        exporter=exporter,
        ingest=door.product.run.ingest_target,
        gateway=door.product.run.gateway_url,
        token=user_token(door.product.directory, scopes=["write:samples"]),
    )
    (directory / "collector.yaml").write_text(config)
    command = [program("collector"), f"--config={directory}/collector.yaml"]
    async with running(command, directory / "log"):
        await eventually(lambda: listens(port), what="the Collector to listen")
        yield port


async def listens(port: int) -> bool | None:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return None
    writer.close()
    return True


@pytest.mark.parametrize("exporter", ["otlp", "otlphttp", "prometheusremotewrite"])
async def test_what_a_collector_passes_on_reads_back(
    door: Door, tmp_path: Path, exporter: str
) -> None:
    name = f"through_{exporter}"
    async with collector(door, tmp_path, exporter) as port:
        sender = OTLPMetricExporter(f"http://127.0.0.1:{port}", insecure=True)
        await asyncio.to_thread(measure, sender, name)
    found = await read_back(door, name)
    assert found["peer_requests_total"] == [3, 6, 9]
    assert found["peer_depth"] == [0, 1, 2]
    assert found["peer_latency_seconds_count"] == [2, 4, 6]
    assert found["peer_latency_seconds_sum"] == pytest.approx([0.3, 0.6, 0.9])
    assert found["peer_size_bytes_count"] == [2, 4, 6]
    assert found["target_info"][0] == 1


@pytest.mark.parametrize("way", of_exam.WAYS[1:])
async def test_a_collector_takes_its_part_of_the_exam(tmp_path: Path, way: str) -> None:
    program("collector")
    port = free_port()
    async with of_exam.between(way, port, "127.0.0.1:1", "none", tmp_path) as target:
        assert target == f"127.0.0.1:{port}"
        assert await listens(port)
