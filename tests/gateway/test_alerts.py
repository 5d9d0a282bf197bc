"""POST /api/v1/alerts: Alertmanager's webhook and Prometheus' array."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from mesh.errors import Overloaded, Unavailable
from sensus.core.v1 import alert_pb2
from sensus.ingest.v1 import ingest_service_pb2 as ingest
from tests.gateway.conftest import Running, fields_of, reason_of
from tests.gateway.scripted import Script
from tests.gateway.webhooks import FIRING, taking, webhook


async def test_a_webhook_is_answered_after_ingest_took_it(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteAlerts"] = taking
    response = await client.post("/api/v1/alerts", json=webhook(FIRING))
    assert response.status_code == 200
    assert response.json() == {
        "accepted": 1,
        "duplicates": 0,
        "errors": [],
        "warnings": [],
        "alertIds": ["id-0"],
    }
    call = script.last("WriteAlerts")
    alert = call.request.alerts[0]
    assert {label.name: label.value for label in alert.labels} == FIRING["labels"]
    assert [(a.name, a.value) for a in alert.annotations] == [("summary", "CPU is high")]
    assert alert.state == alert_pb2.ALERT_STATE_FIRING
    assert alert.start_time.ToMilliseconds() == 1795168800123
    assert not alert.HasField("end_time")
    assert alert.generator_url == "http://prometheus/graph"
    assert call.principal.subject == "user:operator"
    assert call.principal.scopes >= {"write:alerts"}


async def test_a_resolved_alert_keeps_its_end(client: httpx.AsyncClient, script: Script) -> None:
    script.answers["WriteAlerts"] = taking
    resolved = FIRING | {"status": "resolved", "endsAt": "2026-11-20T11:00:00+01:00"}
    assert (await client.post("/api/v1/alerts", json=webhook(resolved))).status_code == 200
    alert = script.last("WriteAlerts").request.alerts[0]
    assert alert.state == alert_pb2.ALERT_STATE_RESOLVED
    assert alert.end_time.ToDatetime(UTC) == datetime(2026, 11, 20, 10, tzinfo=UTC)


async def test_an_array_of_prometheus_alerts_is_taken(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteAlerts"] = taking
    sent = {key: FIRING[key] for key in ("labels", "annotations", "startsAt", "generatorURL")}
    lease = sent | {"endsAt": "2026-11-20T10:30:00Z"}
    response = await client.post("/api/v1/alerts", json=[sent, lease])
    assert response.json()["accepted"] == 2
    alerts = script.last("WriteAlerts").request.alerts
    assert [alert.state for alert in alerts] == [0, 0], "ingest decides by the end"
    assert [alert.HasField("end_time") for alert in alerts] == [False, True]


async def test_bad_alerts_are_named_and_good_ones_go_in(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteAlerts"] = taking
    refused_by_ingest = FIRING | {"labels": {"alertname": "Bad"}}
    alerts = ["no alert", FIRING, 7, refused_by_ingest, None, FIRING]
    response = await client.post("/api/v1/alerts", json=webhook(*alerts))
    assert response.status_code == 200
    answer = response.json()
    assert answer["accepted"] == 2
    assert answer["alertIds"] == ["", "id-0", "", "", "", "id-2"]
    assert [(e["index"], e["reason"]) for e in answer["errors"]] == [
        (0, "NOT_AN_ALERT"),
        (2, "NOT_AN_ALERT"),
        (3, "INVALID_LABELS"),
        (4, "NOT_AN_ALERT"),
    ]


async def test_only_bad_alerts_are_400_with_their_index(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteAlerts"] = taking
    bad = FIRING | {"labels": {"alertname": "Bad"}}
    response = await client.post("/api/v1/alerts", json=webhook("none", bad))
    assert response.status_code == 400
    assert reason_of(response) == "ALERTS_REFUSED"
    assert fields_of(response) == ["alerts[0]", "alerts[1]"]


async def test_duplicates_alone_are_200(client: httpx.AsyncClient, script: Script) -> None:
    script.answers["WriteAlerts"] = ingest.WriteAlertsResponse(duplicates=1, alert_ids=["x"])
    response = await client.post("/api/v1/alerts", json=webhook(FIRING))
    assert response.status_code == 200
    assert response.json()["duplicates"] == 1


async def test_more_than_a_thousand_alerts_go_in_parts(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteAlerts"] = taking
    bad = FIRING | {"labels": {"alertname": "Bad"}}
    alerts = [FIRING] * 1500 + [bad] + [FIRING] * 1000
    response = await client.post("/api/v1/alerts", json=webhook(*alerts))
    assert response.json()["accepted"] == 2500
    assert [error["index"] for error in response.json()["errors"]] == [1500]
    assert script.count("WriteAlerts") == 3


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("the database does not answer", retry_after_s=3),
        Overloaded("slow down", retry_after_s=3),
    ],
)
async def test_what_cannot_be_committed_is_503_with_retry_after(
    client: httpx.AsyncClient, script: Script, error: Exception
) -> None:
    script.answers["WriteAlerts"] = error
    response = await client.post("/api/v1/alerts", json=webhook(FIRING))
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "3"
    assert response.json()["error"]["status"] == "UNAVAILABLE"


async def test_grafanas_own_fields_become_annotations(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteAlerts"] = taking
    own = {
        "dashboardURL": "https://g/d/1",
        "panelURL": "",
        "silenceURL": "https://g/silence",
        "imageURL": "https://g/i.png",
        "values": {"B": 6.7, "C": 1},
        "valueString": "[ var='B' value=6.7 ]",
    }
    around = {"orgId": 1, "title": "[FIRING:1]", "message": "**Firing**", "state": "alerting"}
    body = webhook(FIRING | own, FIRING | {"values": None}, version="1", **around)
    response = await client.post("/api/v1/alerts", json=body)
    assert response.json()["warnings"] == []
    first, second = script.last("WriteAlerts").request.alerts
    texts = {each.name: each.value for each in first.annotations}
    assert texts == {
        "summary": "CPU is high",
        "dashboardURL": "https://g/d/1",
        "silenceURL": "https://g/silence",
        "imageURL": "https://g/i.png",
        "values": '{"B":6.7,"C":1}',
        "valueString": "[ var='B' value=6.7 ]",
        "orgId": "1",
        "title": "[FIRING:1]",
        "message": "**Firing**",
        "state": "alerting",
    }
    assert "values" not in {each.name for each in second.annotations}


async def test_refusals_are_counted_in_health(
    client: httpx.AsyncClient, running: Running, script: Script
) -> None:
    async def refused() -> int:
        report = (await running.http.get("/health")).json()["refused"]["alerts"]
        return report["byReason"].get("NOT_AN_ALERT", 0)

    script.answers["WriteAlerts"] = taking
    before = await refused()
    response = await client.post("/api/v1/alerts", json=webhook(FIRING, "none", 3))
    assert response.status_code == 200
    assert await refused() == before + 2
    metrics = (await running.http.get("/metrics")).text
    assert 'sensus_http_items_refused_total{kind="alerts",reason="NOT_AN_ALERT"}' in metrics


async def test_a_large_body_is_413(client: httpx.AsyncClient) -> None:
    async def chunks() -> Any:
        for _ in range(20):
            yield b" " * 100_000

    headers = {"Content-Type": "application/json"}
    announced = await client.post("/api/v1/alerts", content=b" " * 1_100_000, headers=headers)
    assert (announced.status_code, reason_of(announced)) == (413, "BODY_TOO_LARGE")
    streamed = await client.post("/api/v1/alerts", content=chunks(), headers=headers)
    assert (streamed.status_code, reason_of(streamed)) == (413, "BODY_TOO_LARGE")


async def test_lists_are_on_the_same_path(client: httpx.AsyncClient, script: Script) -> None:
    script.answers["ListAlerts"] = ingest.ListAlertsResponse(next_page_token="more")
    response = await client.get("/api/v1/alerts", params={"state": "ALERT_STATE_FIRING"})
    assert response.json() == {"alerts": [], "nextPageToken": "more"}
    assert script.last("ListAlerts").request.state == alert_pb2.ALERT_STATE_FIRING
