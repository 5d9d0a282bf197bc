"""A real Prometheus writes to us through kills: its own store and ours agree sample by sample."""

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.product.tokens import user_token
from tests.peers.conftest import program, running
from tests.ports import free_port
from tests.product import Door, eventually

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: itself
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
remote_write:
  - url: {url}/api/v1/write
    authorization: {{credentials_file: {token_file}}}
    queue_config: {{batch_send_deadline: 1s, min_backoff: 100ms, max_backoff: 1s}}
"""
COMPARED = '{__name__=~"up|go_goroutines|prometheus_tsdb_head_.*|prometheus_http_requests_total"}'
VICTIMS = ("gateway", "ingest", "postgres")
PENDING = "prometheus_remote_storage_samples_pending"
LOST = (
    "prometheus_remote_storage_samples_dropped_total",
    "prometheus_remote_storage_samples_failed_total",
)

Series = dict[tuple[tuple[str, str], ...], dict[int, float]]


async def test_what_prometheus_has_we_have(door: Door, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    (tmp_path / "token").write_text(user_token(door.product.directory, scopes=["write:samples"]))
    (tmp_path / "prometheus.yml").write_text(
        CONFIG.format(port=port, url=door.product.run.gateway_url, token_file=tmp_path / "token")
    )
    command = [
        program("prometheus"),
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    async with (
        running(command, tmp_path / "log"),
        httpx.AsyncClient(base_url=url, timeout=60) as prometheus,
    ):
        await eventually(lambda: has_samples(door), what="the first samples")
        for victim in VICTIMS:
            await door.kill(victim)
            await asyncio.sleep(5)
        until_s = time.time()
        await eventually(lambda: caught_up(prometheus, until_s), what="the end of what waits")
        theirs = await told_by_prometheus(prometheus, until_s)
        ours = await told_by_us(door, until_s)
        lost = [await latest(prometheus, f"sum({name})") for name in LOST]
    assert len(theirs) > 20
    assert sum(map(len, theirs.values())) > 15 * len(theirs) / 2
    assert {key: ours.get(key) for key in theirs} == theirs
    assert lost == [0, 0]


async def has_samples(door: Door) -> bool | None:
    return bool(await told_by_us(door, time.time())) or None


async def caught_up(prometheus: httpx.AsyncClient, until_s: float) -> bool | None:
    """Whether all that was scraped until then has been sent."""
    sent = await latest(
        prometheus, "prometheus_remote_storage_queue_highest_sent_timestamp_seconds"
    )
    return sent > until_s or None


async def latest(prometheus: httpx.AsyncClient, query: str) -> float:
    answer = await prometheus.get("/api/v1/query", params={"query": query})
    result = answer.json()["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


async def told_by_prometheus(prometheus: httpx.AsyncClient, until_s: float) -> Series:
    """The raw samples of its store."""
    params: dict[str, Any] = {"query": f"{COMPARED}[10m]", "time": until_s}
    answer = await prometheus.get("/api/v1/query", params=params)
    return {
        tuple(sorted(series["metric"].items())): {
            round(at * 1000): float(value) for at, value in series["values"]
        }
        for series in answer.json()["data"]["result"]
    }


async def told_by_us(door: Door, until_s: float) -> Series:
    """The same samples of ours."""
    params = {
        "selector": '{job="itself"}',
        "startTime": datetime.fromtimestamp(until_s - 600, UTC).isoformat(),
        "endTime": datetime.fromtimestamp(until_s, UTC).isoformat(),
    }
    headers = {"Accept": "application/x-ndjson"}
    answer = await door.http.get("/api/v1/samples", params=params, headers=headers)
    found: Series = {}
    for line in answer.text.splitlines():
        for each in json.loads(line).get("series", ()):
            key = tuple(sorted((one["name"], one["value"]) for one in each["series"]["labels"]))
            points = zip(each["timestampsMs"], each["values"], strict=True)
            found.setdefault(key, {}).update(
                {int(at): float(value) for at, value in points if value != "NaN"}
            )
    return found
