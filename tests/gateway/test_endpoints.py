"""The facts of endpoints: limits, audit and webhooks are fields, and true for all of them."""

import pytest

from mesh.auth import PUBLIC
from services.gateway.http.endpoint import Endpoint, Rate
from services.gateway.http.routing import Routes
from services.gateway.routes.console import ASSETS, PAGES
from tests.gateway.conftest import Running

DATA_IN = {
    "/api/v1/alerts",
    "/api/v2/alerts",
    "/api/v1/alerts:write",
    "/api/v1/metrics",
    "/api/v1/write",
    "/v1/metrics",
    "/api/v1/otlp/v1/metrics",
    "/v1/traces",
    "/v1/logs",
    "/api/v1/otlp/v1/traces",
    "/api/v1/otlp/v1/logs",
    "/api/v1/samples:write",
}


def by_name(running: Running) -> dict[str, Endpoint]:
    """Endpoints by `METHOD path`."""
    return {f"{each.method} {each.path}": each for each in running.gateway.endpoints}


async def test_an_overload_is_503_only_where_429_would_lose_what_was_sent(running: Running) -> None:
    webhooks = {name for name, each in by_name(running).items() if each.webhook}
    assert webhooks == {
        "POST /api/v1/alerts",
        "POST /api/v2/alerts",
        "POST /api/v1/alerts:write",
        "POST /api/v1/write",
    }


async def test_every_change_is_audited_and_no_reading_and_no_data(running: Running) -> None:
    for name, each in by_name(running).items():
        is_change = each.method != "GET" and each.path not in DATA_IN and each.policy != PUBLIC
        assert each.audited is is_change, name


async def test_only_probes_documents_and_log_in_have_no_limit_of_requests(running: Running) -> None:
    free = {name for name, each in by_name(running).items() if each.rate is None}
    probes = {name for name, each in by_name(running).items() if each.probe}
    assert probes == {"GET /health", "GET /livez", "GET /readyz", "GET /metrics"}
    assert free == probes | {
        "POST /api/v1/auth/token",
        "POST /api/v1/auth/refresh",
        "GET /docs",
        "GET /openapi.json",
        "POST /api/v1/auth/session",
        "POST /api/v1/auth/session:refresh",
        f"GET {ASSETS}",
        *(f"GET {page}" for page in PAGES),
    }


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("POST /api/v1/metrics", Rate.METRICS),
        ("POST /api/v1/samples:write", Rate.METRICS),
        ("POST /api/v1/write", Rate.TELEMETRY),
        ("POST /api/v1/alerts", Rate.ALERTS),
        ("POST /api/v1/alerts:write", Rate.ALERTS),
        ("GET /api/v1/alerts/{alert_id}", Rate.ALERTS),
        ("GET /api/v1/analysis/latest", Rate.ANALYSIS),
        ("POST /api/v1/explanations:explain", Rate.ANALYSIS),
        ("GET /api/v1/anomalies", Rate.OTHER),
        ("GET /api/v1/samples", Rate.OTHER),
        ("GET /api/v1/prompts", Rate.OTHER),
        ("POST /api/v1/rules", Rate.OTHER),
    ],
)
async def test_a_request_counts_by_what_it_is_about(
    running: Running, name: str, rate: Rate
) -> None:
    assert by_name(running)[name].rate is rate


async def test_head_goes_where_get_goes_but_opens_no_stream(running: Running) -> None:
    routes = Routes(running.gateway.endpoints)
    assert routes.match("HEAD", "/livez").endpoint is routes.match("GET", "/livez").endpoint
    assert routes.match("HEAD", "/api/v1/anomalies:watch").endpoint is None
    response = await running.http.head("/api/v1/anomalies:watch")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET")
