"""A rule of a real Prometheus fires, a real Alertmanager tells us, and we explain it."""

from pathlib import Path
from typing import Any

import pytest

from cli.product.tokens import user_token
from tests.peers.conftest import program, running
from tests.ports import free_port
from tests.product import Door, eventually

pytestmark = [pytest.mark.peers, pytest.mark.timeout(180)]

PROMETHEUS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
alerting:
  alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]
rule_files: [rules.yml]
scrape_configs:
  - job_name: sensus
    static_configs: [{{targets: ["{gateway}"]}}]
"""
RULES = """
groups:
  - name: peers
    rules:
      - alert: GatewayIsScraped
        expr: up{job="sensus"} == 1
        labels: {severity: warning}
        annotations: {summary: "The gateway at {{ $labels.instance }} answers a scrape"}
"""
ALERTMANAGER = """
route: {{receiver: sensus, group_wait: 1s, group_interval: 2s, repeat_interval: 1h}}
receivers:
  - name: sensus
    webhook_configs:
      - url: {gateway_url}/api/v1/alerts
        http_config: {{authorization: {{credentials_file: {token_file}}}}}
"""


async def test_rule_of_prometheus_is_explained(door: Door, tmp_path: Path) -> None:
    prometheus = program("prometheus")
    alertmanager = program("prometheus-alertmanager", "alertmanager")
    prometheus_port, alertmanager_port = free_port(), free_port()
    gateway_url = door.product.run.gateway_url
    token_file = tmp_path / "token"
    token_file.write_text(user_token(door.product.directory, scopes=["write:alerts"]))
    (tmp_path / "prometheus.yml").write_text(
        PROMETHEUS.format(
            alertmanager=alertmanager_port, gateway=gateway_url.removeprefix("http://")
        )
    )
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "alertmanager.yml").write_text(
        ALERTMANAGER.format(gateway_url=gateway_url, token_file=token_file)
    )
    start_prometheus = [
        prometheus,
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/tsdb",
        f"--web.listen-address=127.0.0.1:{prometheus_port}",
    ]
    start_alertmanager = [
        alertmanager,
        f"--config.file={tmp_path}/alertmanager.yml",
        f"--storage.path={tmp_path}/alertmanager",
        f"--web.listen-address=127.0.0.1:{alertmanager_port}",
        "--cluster.listen-address=",
    ]
    async with (
        running(start_alertmanager, tmp_path / "alertmanager.log"),
        running(start_prometheus, tmp_path / "prometheus.log"),
    ):
        alert = await eventually(
            lambda: the_alert(door), within_s=60, what="the alert of Prometheus"
        )
        assert alert["state"] == "ALERT_STATE_FIRING"
        assert alert["severity"] == "SEVERITY_WARNING"
        explanation = await eventually(
            lambda: its_explanation(door, alert["alertId"]), what="its explanation"
        )
    assert explanation["summary"]
    assert explanation["traceId"]


async def the_alert(door: Door) -> dict[str, Any] | None:
    """The alert as REST lists it, once it is there."""
    selector = '{alertname="GatewayIsScraped"}'
    answer = await door.http.get("/api/v1/alerts", params={"selector": selector})
    found = answer.json()["alerts"]
    return dict(found[0]) if found else None


async def its_explanation(door: Door, alert_id: str) -> dict[str, Any] | None:
    """The finished explanation, once it is there."""
    params = {"subject.alertId": alert_id, "state": "EXPLANATION_STATE_DONE"}
    answer = await door.http.get("/api/v1/explanations", params=params)
    found = answer.json()["explanations"]
    return dict(found[0]) if found else None
