"""The configuration of docs/tutorial.md, run by Prometheus, its node exporter and Alertmanager."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.product.tokens import user_token
from tests.peers.conftest import REPOSITORY, program, running
from tests.ports import free_port
from tests.product import Door, eventually

pytestmark = [pytest.mark.peers, pytest.mark.timeout(400)]

PAGE = (REPOSITORY / "docs/tutorial.md").read_text()
SAMPLES, RULES, ALERTS = (
    yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
)
(KEY,) = re.findall(r"curl .*/api-keys.*?-d '(.*?)'", PAGE, re.DOTALL)
(BURN,) = re.findall(r"^timeout 300 (.*)$", PAGE, re.MULTILINE)
KEY_FILE = "/etc/prometheus/sensus-key"


async def test_tutorial_ends_with_an_explained_incident(door: Door, tmp_path: Path) -> None:
    prometheus = program("prometheus")
    alertmanager = program("prometheus-alertmanager", "alertmanager")
    exporter = program("prometheus-node-exporter", "node_exporter")
    ports = {"9100": free_port(), "9093": free_port(), "9090": free_port()}
    admin = {"Authorization": f"Bearer {user_token(door.product.directory)}"}
    made = await door.http.post("/api/v1/api-keys", json=json.loads(KEY), headers=admin)
    assert made.status_code == 201, made.text
    (tmp_path / "key").write_text(made.json()["key"])

    def here(document: dict[str, Any]) -> str:
        """The text with the addresses of this test, and nothing else of it changed."""
        text = yaml.safe_dump(document)
        text = text.replace("http://localhost:8080", door.product.run.gateway_url)
        text = text.replace(KEY_FILE, str(tmp_path / "key"))
        text = text.replace("/etc/prometheus/first-incident.yml", str(tmp_path / "rules.yml"))
        for usual, port in ports.items():
            text = text.replace(f"localhost:{usual}", f"127.0.0.1:{port}")
        return text

    often = {"global": {"scrape_interval": "2s", "evaluation_interval": "2s"}}
    (tmp_path / "prometheus.yml").write_text(here(often | SAMPLES))
    (tmp_path / "rules.yml").write_text(here(RULES))
    (tmp_path / "alertmanager.yml").write_text(here(ALERTS))
    programs = {
        "exporter": [exporter, f"--web.listen-address=127.0.0.1:{ports['9100']}"],
        "alertmanager": [
            alertmanager,
            f"--config.file={tmp_path}/alertmanager.yml",
            f"--storage.path={tmp_path}/alertmanager",
            f"--web.listen-address=127.0.0.1:{ports['9093']}",
            "--cluster.listen-address=",
        ],
        "prometheus": [
            prometheus,
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/tsdb",
            f"--web.listen-address=127.0.0.1:{ports['9090']}",
        ],
    }
    async with (
        running(programs["exporter"], tmp_path / "exporter.log"),
        running(programs["alertmanager"], tmp_path / "alertmanager.log"),
        running(programs["prometheus"], tmp_path / "prometheus.log"),
    ):
        await eventually(lambda: seconds_of_cpu(door), within_s=60, what="samples of the node")
        await asyncio.sleep(20)  # what was usual, before the load
        burning = await asyncio.create_subprocess_shell(f"exec timeout 240 {BURN}")
        try:
            incident = await eventually(
                lambda: explained_incident(door), within_s=240, what="an explained incident"
            )
        finally:
            burning.terminate()
            await burning.wait()
    assert "CpuBusy" in incident["title"]


async def seconds_of_cpu(door: Door) -> bool:
    """Whether the node's CPU has come."""
    answer = await door.http.get("/api/v1/series", params={"selector": "node_cpu_seconds_total"})
    return bool(answer.json()["series"])


async def explained_incident(door: Door) -> dict[str, Any] | None:
    """The incident of the tutorial, once it has a cause."""
    answer = await door.http.get("/api/v1/incidents", params={"query": "CpuBusy"})
    for incident in answer.json().get("incidents", []):
        if incident.get("cause", {}).get("explanationId"):
            return dict(incident)
    return None
