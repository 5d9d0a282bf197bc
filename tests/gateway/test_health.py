"""Probes, health and metrics."""

from typing import Any

import pytest

from tests.gateway.conftest import Running
from tests.gateway.scripted import Script
from tests.ingest.harness import until


@pytest.fixture
def running(fresh: Running) -> Running:
    """A gateway of its own for each test."""
    return fresh


async def test_health_names_every_component(running: Running) -> None:
    report = await reported(running, "healthy")
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


async def reported(running: Running, status: str) -> dict[str, Any]:
    """What `/health` says, once it is this: a probe of a busy machine may come too late."""

    async def report() -> dict[str, Any] | None:
        await running.gateway.dependencies.health.probe()
        response = await running.http.get("/health")
        assert response.status_code == (200 if response.json()["status"] == "healthy" else 503)
        return dict(response.json()) if response.json()["status"] == status else None

    found: dict[str, Any] = await until(report)
    return found


async def test_health_is_503_while_a_service_is_down(running: Running, script: Script) -> None:
    script.health["detector"] = False
    report = await reported(running, "unhealthy")
    assert report["components"]["detector"]["status"] == "down"
    assert (await running.http.get("/readyz")).status_code == 200


async def test_probes_and_metrics_need_no_token(running: Running) -> None:
    assert (await running.http.get("/livez")).json() == {"status": "alive"}
    assert (await running.http.get("/readyz")).json() == {"status": "ready"}
    metrics = await running.http.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    for name in ("sensus_http_alerts_total", "sensus_http_samples_total"):
        assert name in metrics.text


async def test_a_gateway_that_leaves_is_not_ready(running: Running) -> None:
    running.gateway.dependencies.leave()
    response = await running.http.get("/readyz")
    assert response.status_code == 503
    assert (await running.http.get("/livez")).status_code == 200
