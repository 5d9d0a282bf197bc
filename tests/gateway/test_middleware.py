"""What every request passes."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from sensus.detector.v1 import detector_service_pb2 as detector
from sensus.ingest.v1 import ingest_service_pb2 as ingest
from services.gateway.http.endpoint import Endpoint
from tests.gateway.conftest import Running, Start, reason_of
from tests.gateway.scripted import Script

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
ALERT = [{"labels": {"alertname": "A"}, "startsAt": "2026-11-20T10:00:00Z"}]


async def test_a_correlation_id_comes_back(running: Running) -> None:
    response = await running.http.get("/livez", headers={"X-Correlation-ID": "order-7/a.b:c"})
    assert response.headers["X-Correlation-ID"] == "order-7/a.b:c"


@pytest.mark.parametrize("given", [None, "", "with space", "x" * 129, 'a"b', "a{b}"])
async def test_an_unfit_correlation_id_is_replaced(running: Running, given: str | None) -> None:
    headers = {} if given is None else {"X-Correlation-ID": given}
    response = await running.http.get("/api/v1/nothing", headers=headers)
    made = response.headers["X-Correlation-ID"]
    assert made != given
    assert len(made) == 32


async def test_the_process_time_is_told(running: Running) -> None:
    response = await running.http.get("/livez")
    assert 0 < float(response.headers["X-Process-Time"]) < 5


async def test_one_line_per_request(
    running: Running, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sensus.gateway.access")
    headers = {"X-Correlation-ID": "c-1"}
    await client.get("/api/v1/anomalies/secret?selector=1", headers=headers)
    await running.http.get("/livez")
    lines = [record for record in caplog.records if record.name == "sensus.gateway.access"]
    assert len(lines) == 1
    line = lines[0].__dict__
    assert (line["method"], line["status"], line["caller"]) == ("GET", 400, "user:operator")
    assert line["route"] == "/api/v1/anomalies/{anomaly_id}"
    assert line["correlation_id"] == "c-1"
    assert line["address"] == "127.0.0.1"
    assert line["duration_ms"] > 0
    assert "Bearer" not in json.dumps({key: str(value) for key, value in line.items()})


async def test_browsers_are_held_back(running: Running) -> None:
    for path in ("/livez", "/api/v1/alerts", "/nothing"):
        headers = (await running.http.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "server" not in headers
    assert (await running.http.get("/api/v1/alerts")).headers["Cache-Control"] == "no-store"


async def test_only_listed_origins_may_call(start: Start) -> None:
    async with start(cors_origins=("https://console.example",)) as running:
        asked = {
            "Origin": "https://console.example",
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization",
        }
        preflight = await running.http.options("/api/v1/users/a", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == "https://console.example"
        refused = await running.http.get("/api/v1/alerts", headers=asked)
        assert refused.status_code == 401
        assert refused.headers["Access-Control-Allow-Origin"] == "https://console.example"
        assert "Retry-After" in refused.headers["Access-Control-Expose-Headers"]
        other = await running.http.get("/livez", headers={"Origin": "https://other.example"})
        assert "Access-Control-Allow-Origin" not in other.headers


async def test_no_origin_may_call_by_default(running: Running) -> None:
    response = await running.http.get("/livez", headers={"Origin": "https://console.example"})
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_an_unforeseen_error_shows_only_its_id(
    running: Running, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(type(running.gateway.stores.accounts), "list_all", broken)
    response = await running.http.get("/api/v1/users", headers=running.headers())
    assert (response.status_code, reason_of(response)) == (500, "INTERNAL")
    assert "hunter2" not in response.text
    details = response.json()["error"]["details"][0]
    assert details["metadata"]["error_id"] in response.json()["error"]["message"]
    logged = [r for r in caplog.records if r.name.endswith("middleware.errors")]
    assert logged[0].__dict__["error_id"] == details["metadata"]["error_id"]
    assert "hunter2" in str(logged[0].exc_info)


async def test_the_trace_goes_on_to_the_service(
    client: httpx.AsyncClient, script: Script, exporter: InMemorySpanExporter
) -> None:
    script.answers["WriteAlerts"] = ingest.WriteAlertsResponse(accepted=1)
    exporter.clear()
    headers = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-00"}
    assert (await client.post("/api/v1/alerts", json=ALERT, headers=headers)).status_code == 200
    spans = {span.name: span for span in exporter.get_finished_spans()}
    server = spans["POST /api/v1/alerts"]
    assert server.kind is SpanKind.SERVER
    assert f"{server.context.trace_id:032x}" == TRACE_ID
    assert server.attributes is not None
    assert server.attributes["http.route"] == "/api/v1/alerts"
    assert server.attributes["http.response.status_code"] == 200
    assert server.context.trace_flags.sampled, "alerts are kept though the caller's are not"
    assert script.last("WriteAlerts").traceparent.split("-")[1] == TRACE_ID


async def test_a_5xx_is_an_error_in_the_trace(
    client: httpx.AsyncClient, script: Script, exporter: InMemorySpanExporter
) -> None:
    script.answers["WriteAlerts"] = RuntimeError("boom")
    exporter.clear()
    assert (await client.post("/api/v1/alerts", json=ALERT)).status_code == 500
    assert (await client.get("/api/v1/alerts?page_size=x")).status_code == 400
    by_name = {span.name: span for span in exporter.get_finished_spans()}
    assert by_name["POST /api/v1/alerts"].status.status_code is StatusCode.ERROR
    assert by_name["GET /api/v1/alerts"].status.status_code is StatusCode.UNSET


async def test_the_span_of_a_stream_ends_when_the_stream_begins(
    client: httpx.AsyncClient, script: Script, exporter: InMemorySpanExporter
) -> None:
    async def silent(request: Any) -> AsyncIterator[detector.WatchAnomaliesResponse]:
        yield detector.WatchAnomaliesResponse(cursor=1)
        await asyncio.Event().wait()

    script.answers["WatchAnomalies"] = silent
    exporter.clear()
    headers = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}
    async with client.stream("GET", "/api/v1/anomalies:watch", headers=headers):
        names = [span.name for span in exporter.get_finished_spans()]
        assert "GET /api/v1/anomalies:watch" in names
    assert script.last("WatchAnomalies").traceparent.split("-")[1] == TRACE_ID


async def test_probes_leave_no_span(running: Running, exporter: InMemorySpanExporter) -> None:
    exporter.clear()
    for path in ("/health", "/livez", "/readyz", "/metrics"):
        await running.http.get(path)
    assert [s.name for s in exporter.get_finished_spans() if s.kind is SpanKind.SERVER] == []


async def test_requests_are_measured_by_route(running: Running) -> None:
    await running.http.get("/api/v1/anomalies/some-id")
    await running.http.get("/api/v1/unknown/some-id")
    text = (await running.http.get("/metrics")).text
    assert 'route="/api/v1/anomalies/{anomaly_id}",status="401"' in text
    assert 'route="unmatched",status="404"' in text
    assert "some-id" not in text


def test_an_endpoint_must_have_a_policy() -> None:
    with pytest.raises(TypeError, match="policy"):
        Endpoint(method="GET", path="/api/v1/x", handle=None, operation=None)  # type: ignore
