"""REST to gRPC and back, by the descriptors."""

import threading
from typing import Any

import httpx
import pytest

from mesh.errors import InvalidInput, NotFound, Overloaded, Unavailable, Violation
from sensus.core.v1 import alert_pb2
from sensus.detector.v1 import detector_service_pb2 as detector
from sensus.explainer.v1 import explainer_service_pb2 as explainer
from sensus.ingest.v1 import ingest_service_pb2 as ingest
from services.gateway.transcoding import requests
from services.gateway.transcoding.template import compile_template
from tests.gateway.conftest import Running, fields_of, reason_of
from tests.gateway.scripted import Script
from tests.ingest.harness import until


async def test_query_parameters_become_the_request(
    client: httpx.AsyncClient, script: Script
) -> None:
    params = {
        "state": "ALERT_STATE_RESOLVED",
        "min_severity": "SEVERITY_WARNING",
        "selector": '{alertname="Höhe"}',
        "startTime": "2026-11-20T10:00:00Z",
        "pageSize": "7",
    }
    assert (await client.get("/api/v1/alerts", params=params)).status_code == 200
    request = script.last("ListAlerts").request
    assert request.state == alert_pb2.ALERT_STATE_RESOLVED
    assert request.min_severity == 2
    assert request.selector == '{alertname="Höhe"}'
    assert request.start_time.ToJsonString() == "2026-11-20T10:00:00Z"
    assert request.page_size == 7


async def test_nested_query_parameters_are_dotted(
    client: httpx.AsyncClient, script: Script
) -> None:
    response = await client.get("/api/v1/explanations", params={"subject.alertId": "a-1"})
    assert response.status_code == 200
    assert script.last("ListExplanations").request.subject.alert_id == "a-1"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br", "gzip"),
        ("br;q=1.0, GZIP;q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("gzip; q=0.000", None),
        ("identity", None),
        ("", None),
    ],
)
async def test_long_answers_are_compressed_for_who_reads_that(
    client: httpx.AsyncClient, script: Script, accepted: str, coding: str | None
) -> None:
    alerts = [alert_pb2.Alert(alert_id=f"a-{number}") for number in range(2000)]
    script.answers["ListAlerts"] = ingest.ListAlertsResponse(alerts=alerts)
    answer = await client.get("/api/v1/alerts", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert [each["alertId"] for each in answer.json()["alerts"]] == [
        each.alert_id for each in alerts
    ]
    script.answers["ListAlerts"] = ingest.ListAlertsResponse(alerts=alerts[:1])
    short = await client.get("/api/v1/alerts", headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in short.headers


async def test_the_path_is_part_of_the_request(client: httpx.AsyncClient, script: Script) -> None:
    await client.get("/api/v1/anomalies/a%20b")
    assert script.last("GetAnomaly").request.anomaly_id == "a b"


async def test_path_and_body_make_one_request(admin: httpx.AsyncClient, script: Script) -> None:
    url = "/api/v1/subscriptions/explainer/dead-letters:redrive"
    script.answers["RedriveDeadLetters"] = ingest.RedriveDeadLettersResponse(redriven=2)
    response = await admin.post(url, json={"delivery_ids": ["a", "b"]})
    assert response.json() == {"redriven": 2}
    request = script.last("RedriveDeadLetters").request
    assert (request.subscription, list(request.delivery_ids)) == ("explainer", ["a", "b"])


async def test_answers_have_one_shape(client: httpx.AsyncClient, script: Script) -> None:
    anomaly = detector.Anomaly(anomaly_id="x", series_id=2**60, value=float("nan"))
    script.answers["GetAnomaly"] = detector.GetAnomalyResponse(anomaly=anomaly)
    shown = (await client.get("/api/v1/anomalies/x")).json()["anomaly"]
    assert shown["anomalyId"] == "x"
    assert shown["seriesId"] == str(2**60)
    assert shown["value"] == "NaN"
    assert shown["labels"] == []
    assert shown["kind"] == "ANOMALY_KIND_UNSPECIFIED"
    assert "expected" not in shown


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("nothing=1", "nothing", "UNKNOWN_FIELD"),
        ("page_size=many", "pageSize", "INVALID_FIELD"),
        ("page_size=-1", "pageSize", "INVALID_FIELD"),
        ("page_size=1&page_size=2", "page_size", "INVALID_FIELD"),
        ("startTime=noon", "startTime", "INVALID_FIELD"),
        ("startTime.seconds=5", "startTime.seconds", "UNKNOWN_FIELD"),
        ("state=BURNING", "state", "INVALID_FIELD"),
        ("selector.x=1", "selector.x", "UNKNOWN_FIELD"),
    ],
)
async def test_a_bad_parameter_is_named(
    client: httpx.AsyncClient, script: Script, query: str, field: str, reason: str
) -> None:
    response = await client.get(f"/api/v1/alerts?{query}")
    assert (response.status_code, reason_of(response)) == (400, reason)
    assert fields_of(response) == [field]
    assert not script.calls


async def test_a_path_parameter_is_not_taken_from_the_query(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/v1/alerts/a?alert_id=b")
    assert (response.status_code, fields_of(response)) == (400, ["alert_id"])


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({"nothing": 1}, "nothing", "UNKNOWN_FIELD"),
        ({"batch": {"nothing": 1}}, "batch.nothing", "UNKNOWN_FIELD"),
        ({"batch": {"sequence": "x"}}, "batch.sequence", "INVALID_FIELD"),
        ({"batch": {"sequence": -1}}, "batch.sequence", "INVALID_FIELD"),
        ({"batch": {"sequence": 1.5}}, "batch.sequence", "INVALID_FIELD"),
        ({"producerId": 5}, "producerId", "INVALID_FIELD"),
        (
            {"batch": {"series": [{"labels": [{"nam": "a"}]}]}},
            "batch.series[0].labels[0].nam",
            "UNKNOWN_FIELD",
        ),
        (
            {"batch": {"series": {"labels": []}}},
            "batch",
            "INVALID_FIELD",
        ),
    ],
)
async def test_a_bad_body_names_the_field(
    client: httpx.AsyncClient, body: object, field: str, reason: str
) -> None:
    response = await client.post("/api/v1/samples:write", json=body)
    assert (response.status_code, reason_of(response)) == (400, reason)
    assert fields_of(response)[0].startswith(field)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reason"),
    [
        (b"{", "application/json", 400, "JSON_BROKEN"),
        (b"\xff", "application/json", 400, "JSON_BROKEN"),
        (b'{"producerId": "\\ud800"}', "application/json", 400, "JSON_BROKEN"),
        (b'{"batch": {"sequence": NaN}}', "application/json", 400, "JSON_BROKEN"),
        (b"[" * 50_000 + b"]" * 50_000, "application/json", 400, "JSON_BROKEN"),
        (b'{"batch":' * 300 + b"{}" + b"}" * 300, "application/json", 400, "UNKNOWN_FIELD"),
        (b"[]", "application/json", 400, "INVALID_FIELD"),
        (b"1", "application/json", 400, "INVALID_FIELD"),
        (b"{}", "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", "application/x-protobuf", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ],
)
async def test_broken_bodies_are_refused(
    client: httpx.AsyncClient, body: bytes, content_type: str, status: int, reason: str
) -> None:
    response = await client.post(
        "/api/v1/samples:write", content=body, headers={"Content-Type": content_type}
    )
    assert (response.status_code, reason_of(response)) == (status, reason)


async def test_errors_of_the_services_come_through(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["GetAlert"] = NotFound("alert", "x")
    response = await client.get("/api/v1/alerts/x")
    assert (response.status_code, reason_of(response)) == (404, "ALERT_NOT_FOUND")
    violation = Violation("selector", "at 3: a quote is missing")
    script.answers["ListSeries"] = InvalidInput(
        "selector", reason="INVALID_SELECTOR", violations=[violation]
    )
    response = await client.get("/api/v1/series?selector=x")
    assert (response.status_code, fields_of(response)) == (400, ["selector"])
    script.answers["ListAlerts"] = Overloaded("slow down", retry_after_s=2.5)
    response = await client.get("/api/v1/alerts")
    assert (response.status_code, response.headers["Retry-After"]) == (429, "3")
    script.answers["ListAlerts"] = Unavailable("later", retry_after_s=1)
    assert (await client.get("/api/v1/alerts")).status_code == 503


async def test_defects_of_the_services_show_only_an_id(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["ListAlerts"] = RuntimeError("the password is hunter2")
    response = await client.get("/api/v1/alerts")
    assert (response.status_code, reason_of(response)) == (500, "INTERNAL")
    assert "hunter2" not in response.text


async def test_a_service_that_is_away_is_503(fresh: Running, script: Script) -> None:
    script.health["ingest"] = False

    async def refused() -> httpx.Response | None:
        response = await fresh.http.get("/api/v1/alerts", headers=fresh.headers("viewer"))
        return response if response.status_code == 503 else None

    assert "Retry-After" in (await until(refused)).headers


async def test_the_latest_analysis(client: httpx.AsyncClient, script: Script) -> None:
    response = await client.get("/api/v1/analysis/latest")
    assert (response.status_code, reason_of(response)) == (404, "EXPLANATION_NOT_FOUND")
    newest = [explainer.Explanation(explanation_id=name) for name in ("e2", "e1")]
    script.answers["ListExplanations"] = lambda request: explainer.ListExplanationsResponse(
        explanations=newest[: request.page_size], next_page_token="t2"
    )
    script.answers["GetExplanation"] = lambda request: explainer.GetExplanationResponse(
        explanation=explainer.Explanation(
            explanation_id=request.explanation_id,
            subject=explainer.Subject(alert_id="a"),
            evidence=[explainer.Evidence(evidence_id="E1")],
        )
    )
    one = (await client.get("/api/v1/analysis/latest")).json()
    assert set(one) == {"explanation"}
    assert one["explanation"]["explanationId"] == "e2"
    assert one["explanation"]["subject"] == {"alertId": "a"}
    assert one["explanation"]["evidence"][0]["evidenceId"] == "E1"
    for query in ("limit=5", "pageSize=5", "page_size=5&pageToken=t"):
        page = (await client.get(f"/api/v1/analysis/latest?{query}")).json()
        assert [each["explanationId"] for each in page["explanations"]] == ["e2", "e1"]
        assert page["nextPageToken"] == "t2"
    request = script.calls[-3].request
    assert request.state == explainer.EXPLANATION_STATE_DONE
    assert (request.page_size, request.page_token) == (5, "t")
    for query in ("limit=0", "limit=x", "limit=99", "other=1", "pageSize=99", "limit=2&pageSize=2"):
        assert (await client.get(f"/api/v1/analysis/latest?{query}")).status_code == 400


async def test_a_large_body_does_not_hold_up_others(
    client: httpx.AsyncClient, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse, threads = requests._parse, []

    def watched(body: bytes, target: Any) -> None:
        threads.append(threading.current_thread())
        parse(body, target)

    monkeypatch.setattr(requests, "_parse", watched)
    samples = [{"timestampMs": "1", "value": 1.0}] * 20_000
    body = {"producerId": "p", "batch": {"sequence": "1", "series": [{"samples": samples}]}}
    response = await client.post("/api/v1/samples:write", json=body)
    assert response.status_code == 200
    assert len(script.last("WriteBatch").request.batch.series[0].samples) == 20_000
    assert len(threads) == 1
    assert threads != [threading.main_thread()]


@pytest.mark.parametrize(
    ("template", "path", "shown", "fields"),
    [
        ("/v1/a", "/v1/a", "/v1/a", {}),
        ("/v1/{a_id}/b:c", "/v1/{a_id}/b:c", "/v1/{a_id}/b:c", {"a_id": "a_id"}),
        ("/v1/{a.b=*}", "/v1/{a__b}", "/v1/{a.b}", {"a__b": "a.b"}),
        ("/v1/{name=**}", "/v1/{name:path}", "/v1/{name}", {"name": "name"}),
    ],
)
def test_templates_compile(template: str, path: str, shown: str, fields: dict[str, str]) -> None:
    compiled = compile_template(template)
    assert (compiled.path, compiled.shown, compiled.field_by_parameter) == (path, shown, fields)


@pytest.mark.parametrize("template", ["/v1/{name=a/*}", "v1", "/v1/*", "/v1/{a", "/v1/{A}"])
def test_templates_that_cannot_be_served_fail_at_start(template: str) -> None:
    with pytest.raises(ValueError, match=r"support|template"):
        compile_template(template)
