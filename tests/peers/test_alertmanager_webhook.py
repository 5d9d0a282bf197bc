"""Our webhook in the form of Alertmanager is taken by who takes Alertmanager's.

A real Alertmanager sends into one product, which groups and tells two receivers: another product,
and a program that is made of Alertmanager's own types and templates.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.product.tokens import user_token
from tests.peers.conftest import program, running
from tests.ports import free_port
from tests.product import UNLIMITED, Door, eventually, started

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

ALERTMANAGER = """
route: {{receiver: sensus, group_by: [team], group_wait: 1s, group_interval: 2s}}
receivers:
  - name: sensus
    webhook_configs:
      - url: {gateway_url}/api/v1/alerts
        http_config: {{authorization: {{credentials_file: {token_file}}}}}
"""
ROUTING = """
route: {{receiver: others, group_by: [team]}}
receivers:
  - name: others
    webhook_configs:
      - {{url: '{second}/api/v1/alerts', format: alertmanager, authorization: 'file:{token_file}'}}
      - {{url: 'http://127.0.0.1:{reader}/', format: alertmanager}}
"""
TEAM = "billing & <b>payments</b> 支払い"
ALERTS = ("DiskFull", "ReplicaLags")


async def test_what_alertmanager_sends_us_is_taken_by_receivers_of_alertmanager(
    tmp_path: Path,
) -> None:
    reader, reader_port = program("webhook-reader"), free_port()
    settings = {**UNLIMITED, "SENSUS_NOTIFIER_PRIVATE_HOSTS": "127.0.0.1"}
    read = tmp_path / "read.log"
    async with (
        started(tmp_path / "second", settings=UNLIMITED) as second,
        started(tmp_path / "first", settings=settings) as first,
        running([reader, f"127.0.0.1:{reader_port}"], read),
        alertmanager(first, tmp_path) as sender,
    ):
        secrets = first.product.directory.secrets
        secrets.mkdir(exist_ok=True)
        token_file = secrets / "second"
        token_file.write_text(user_token(second.product.directory, scopes=["write:alerts"]))
        routing = ROUTING.format(
            second=second.product.run.gateway_url, token_file=token_file, reader=reader_port
        )
        answer = await first.http.put("/api/v1/routing", json={"yaml": routing})
        assert answer.status_code == 200, answer.text

        await fire(sender)
        incident = await eventually(lambda: the_incident(first), what="one incident of both")
        await eventually(lambda: states(second, "ALERT_STATE_FIRING"), what="both, in the second")
        path = f"/api/v1/incidents/{incident['incidentId']}:resolve"
        assert (await first.http.post(path, json={})).status_code == 200
        await eventually(lambda: states(second, "ALERT_STATE_RESOLVED"), what="their end there")
        await eventually(lambda: all_sent(first), what="every notice")
    taken = [json.loads(line) for line in read.read_text().splitlines() if line.startswith("{")]
    firing, resolved = taken[0], taken[-1]
    assert [each["message"]["status"] for each in (firing, resolved)] == ["firing", "resolved"]
    assert len({each["message"]["groupKey"] for each in taken}) == 1
    assert resolved["message"]["groupLabels"] == {"team": TEAM}
    assert {each["labels"]["alertname"] for each in resolved["message"]["alerts"]} == {*ALERTS}
    assert resolved["title"].startswith("[RESOLVED] ")
    assert firing["title"].startswith("[FIRING:")
    assert str(datetime.now(UTC).year) in firing["text"]
    assert "<b>payments</b>" not in firing["mail"]
    assert "billing &amp;" in firing["mail"]


@asynccontextmanager
async def alertmanager(door: Door, directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A real one that sends into this product; a client of it."""
    token_file = directory / "token"
    token_file.write_text(user_token(door.product.directory, scopes=["write:alerts"]))
    config = ALERTMANAGER.format(gateway_url=door.product.run.gateway_url, token_file=token_file)
    (directory / "alertmanager.yml").write_text(config)
    port = free_port()
    command = [
        program("prometheus-alertmanager", "alertmanager"),
        f"--config.file={directory}/alertmanager.yml",
        f"--storage.path={directory}/alertmanager",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    async with (
        running(command, directory / "alertmanager.log"),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        await eventually(lambda: is_ready(client), what="Alertmanager")
        yield client


async def is_ready(client: httpx.AsyncClient) -> bool | None:
    return (await client.get("/-/ready")).status_code == 200 or None


async def fire(sender: httpx.AsyncClient) -> None:
    """Two alerts of one team begin to fire."""
    alerts = [
        {
            "labels": {"alertname": name, "team": TEAM, "severity": "warning", "service": "db"},
            "annotations": {"summary": f"{name} <script>"},
        }
        for name in ALERTS
    ]
    (await sender.post("/api/v2/alerts", json=alerts)).raise_for_status()


async def the_incident(door: Door) -> dict[str, Any] | None:
    """The only incident, once it has both alerts and was told with both."""
    found = (await door.http.get("/api/v1/incidents")).json()["incidents"]
    return found[0] if len(found) == 1 and found[0]["memberCount"] == len(ALERTS) else None


async def states(door: Door, state: str) -> bool | None:
    """Whether each alert is there, once, in this state."""
    listed = (await door.http.get("/api/v1/alerts", params={"pageSize": 100})).json()["alerts"]
    found = Counter(
        label["value"]
        for each in listed
        for label in each["labels"]
        if label["name"] == "alertname" and each["state"] == state
    )
    return (found == Counter(ALERTS) and len(listed) == len(ALERTS)) or None


async def all_sent(door: Door) -> bool | None:
    """Whether no notice waits or failed."""
    notices = (await door.http.get("/api/v1/notices")).json()["notices"]
    return {each["state"] for each in notices} == {"NOTICE_STATE_SENT"} or None
