"""POST /api/v1/alerts: Alertmanager's webhook and Prometheus' array."""

from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from mesh.errors import Overloaded, Unavailable
from sensus.core.v1 import alert_pb2
from sensus.ingest.v1 import ingest_service_pb2 as ingest
from tests.gateway.conftest import fields_of, reason_of
from tests.gateway.scripted import Script

FIRING = {
    "status": "firing",
    "labels": {"alertname": "HighCPU", "severity": "critical", "host": "a"},
    "annotations": {"summary": "CPU is high", "empty": ""},
    "startsAt": "2026-11-20T10:00:00.123456789Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus/graph",
    "fingerprint": "ignored",
}


def webhook(*alerts: Any, **changes: Any) -> dict[str, Any]:
    """A notice as Alertmanager writes it."""
    return {
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "sensus",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": list(alerts),
    } | changes


def taking(request: ingest.WriteAlertsRequest) -> ingest.WriteAlertsResponse:
    """An ingest that stores all but alerts named Bad."""
    bad = [
        index
        for index, alert in enumerate(request.alerts)
        if any(label.value == "Bad" for label in alert.labels)
    ]
    return ingest.WriteAlertsResponse(
        accepted=len(request.alerts) - len(bad),
        errors=[
            ingest.AlertError(index=index, reason="INVALID_LABELS", message="a bad name")
            for index in bad
        ],
        alert_ids=["" if i in bad else f"id-{i}" for i in range(len(request.alerts))],
    )


async def test_a_webhook_is_answered_after_ingest_took_it(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteAlerts"] = taking
    response = await client.post("/api/v1/alerts", json=webhook(FIRING))
    assert response.status_code == 200
    assert response.json() == {"accepted": 1, "duplicates": 0, "errors": [], "alertIds": ["id-0"]}
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


async def test_texts_that_are_too_long_do_not_cost_the_alert(
    client: httpx.AsyncClient, script: Script
) -> None:
    """Alertmanager would not send a refused alert again."""
    script.answers["WriteAlerts"] = taking
    wordy = FIRING | {
        "annotations": {"log": "ä" * 20_000},
        "generatorURL": "http://p/" + "x" * 2048,
    }
    response = await client.post("/api/v1/alerts", json=webhook(wordy))
    assert response.json()["accepted"] == 1
    alert = script.last("WriteAlerts").request.alerts[0]
    assert len(alert.annotations[0].value.encode()) <= 16 * 1024
    assert alert.annotations[0].value.endswith("ä … (cut)")
    assert alert.generator_url == ""


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
    told = {key: FIRING[key] for key in ("labels", "annotations", "startsAt", "generatorURL")}
    over = told | {"endsAt": "2026-11-20T10:30:00Z"}
    going_on = told | {"endsAt": "2999-01-01T00:00:00Z"}
    response = await client.post("/api/v1/alerts", json=[told, over, going_on])
    assert response.json()["accepted"] == 3
    alerts = script.last("WriteAlerts").request.alerts
    assert [alert.state for alert in alerts] == [1, 2, 1]
    assert [alert.HasField("end_time") for alert in alerts] == [False, True, False]


async def test_bad_alerts_are_named_and_good_ones_go_in(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteAlerts"] = taking
    refused_by_ingest = FIRING | {"labels": {"alertname": "Bad"}}
    alerts = [
        FIRING | {"labels": {"alertname": 5}},
        FIRING,
        FIRING | {"startsAt": "yesterday"},
        refused_by_ingest,
        FIRING | {"status": "odd"},
        "no alert",
        FIRING | {"annotations": {"summary": None}},
        {"labels": {"alertname": "NoStart"}},
        FIRING,
    ]
    response = await client.post("/api/v1/alerts", json=webhook(*alerts))
    assert response.status_code == 200
    answer = response.json()
    assert answer["accepted"] == 2
    assert answer["alertIds"] == ["", "id-0", "", "", "", "", "", "", "id-2"]
    assert [(e["index"], e["reason"]) for e in answer["errors"]] == [
        (0, "INVALID_LABELS"),
        (2, "INVALID_TIME"),
        (3, "INVALID_LABELS"),
        (4, "INVALID_STATE"),
        (5, "INVALID_LABELS"),
        (6, "INVALID_ANNOTATIONS"),
        (7, "INVALID_TIME"),
    ]


async def test_only_bad_alerts_are_400_with_their_index(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteAlerts"] = taking
    bad = FIRING | {"labels": {"alertname": "Bad"}}
    response = await client.post("/api/v1/alerts", json=webhook({"labels": []}, bad))
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


async def test_other_versions_are_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/v1/alerts", json=webhook(FIRING, version="3"))
    assert response.status_code == 400
    assert reason_of(response) == "UNSUPPORTED_VERSION"
    assert fields_of(response) == ["version"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "JSON_BROKEN"),
        (b'{"version": "4", "alerts": [', "JSON_BROKEN"),
        (b"[\xff]", "JSON_BROKEN"),
        (b"[" * 100_000, "JSON_BROKEN"),
        (b'"text"', "INVALID_FIELD"),
        (b"null", "INVALID_FIELD"),
        (b"{}", "INVALID_FIELD"),
        (b'{"version": 4, "alerts": []}', "INVALID_FIELD"),
        (b'{"version": "4", "alerts": {}}', "INVALID_FIELD"),
        (b'{"version": "4", "alerts": []}', "ALERTS_EMPTY"),
        (b"[]", "ALERTS_EMPTY"),
        (b"[1]", "ALERTS_REFUSED"),
    ],
)
async def test_broken_bodies_are_400(client: httpx.AsyncClient, body: bytes, reason: str) -> None:
    response = await client.post(
        "/api/v1/alerts", content=body, headers={"Content-Type": "application/json"}
    )
    assert (response.status_code, reason_of(response)) == (400, reason)


async def test_other_content_is_415(client: httpx.AsyncClient) -> None:
    body = msgspec.json.encode(webhook(FIRING))
    for headers in (
        {"Content-Type": "text/plain"},
        {},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ):
        response = await client.post("/api/v1/alerts", content=body, headers=headers)
        assert (response.status_code, reason_of(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")


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
