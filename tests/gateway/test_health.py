"""Probes, health and metrics."""

import httpx
import pytest

from tests.gateway.conftest import Running
from tests.gateway.scripted import Script


@pytest.fixture
def running(fresh: Running) -> Running:
    """A gateway of its own for each test."""
    return fresh


async def test_health_names_every_component(running: Running) -> None:
    response = await running.http.get("/health")
    assert response.status_code == 200
    report = response.json()
    assert report["status"] == "healthy"
    assert set(report) == {"status", "version", "timestamp", "components", "refused"}
    assert {name: seen["status"] for name, seen in report["components"].items()} == {
        "database": "up",
        "redis": "up",
        "storage": "up",
        "ingest": "up",
        "detector": "up",
        "explainer": "up",
        "incidents": "up",
        "notifier": "up",
        "topology": "up",
        "receivers": "up",
        "standing": "up",
        "llm": "not_configured",
    }


async def test_health_is_503_while_a_service_is_down(running: Running, script: Script) -> None:
    script.health["detector"] = False
    async with httpx.AsyncClient(base_url=running.url, timeout=60) as http:
        for _ in range(50):
            await running.gateway.surroundings.health.probe()
            response = await http.get("/health")
            if response.status_code == 503:
                break
    assert response.status_code == 503
    assert response.json()["status"] == "unhealthy"
    assert response.json()["components"]["detector"]["status"] == "down"
    assert (await running.http.get("/readyz")).status_code == 200


async def test_probes_and_metrics_need_no_token(running: Running) -> None:
    assert (await running.http.get("/livez")).json() == {"status": "alive"}
    assert (await running.http.get("/readyz")).json() == {"status": "ready"}
    metrics = await running.http.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    for name in ("sensus_http_alerts_total", "sensus_http_samples_total"):
        assert name in metrics.text


async def test_a_gateway_that_leaves_is_not_ready(running: Running) -> None:
    running.gateway.surroundings.leave()
    response = await running.http.get("/readyz")
    assert response.status_code == 503
    assert (await running.http.get("/livez")).status_code == 200
