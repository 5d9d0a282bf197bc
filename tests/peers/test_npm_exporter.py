"""The exporter of OpenTelemetry for JavaScript, which sends JSON: what it measures reads back."""

import asyncio
import shutil
from pathlib import Path

import pytest

from cli.product.tokens import user_token
from tests.peers.conftest import REPOSITORY, program
from tests.peers.measured import read_back
from tests.product import Door

pytestmark = [pytest.mark.peers, pytest.mark.timeout(240)]

MODULES = REPOSITORY / ".peers" / "npm" / "node_modules"
EXPORTER = MODULES / "@opentelemetry" / "exporter-metrics-otlp-http"


async def test_what_javascript_measures_reads_back(door: Door, tmp_path: Path) -> None:
    node = program("node")
    if not EXPORTER.exists():
        pytest.skip(f"{EXPORTER} is missing; tools/get-peers.sh says how it can be had")
    script = shutil.copy(Path(__file__).with_name("measure.mjs"), tmp_path)
    (tmp_path / "node_modules").symlink_to(MODULES)
    url = f"{door.product.run.gateway_url}/v1/metrics"
    token = user_token(door.product.directory, scopes=["write:samples"])
    process = await asyncio.create_subprocess_exec(node, script, url, token, "by_npm")
    assert await process.wait() == 0
    found = await read_back(door, "by_npm")
    assert found["peer_requests_total"] == [3, 6, 9]
    assert found["peer_depth"][-1] == 2
    assert found["peer_latency_seconds_count"] == [2, 4, 6]
    assert found["peer_latency_seconds_sum"] == pytest.approx([0.3, 0.6, 0.9])
