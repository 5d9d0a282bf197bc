"""The gateway before the real services: what the scripted ones cannot know."""

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.gateway.conftest import fields_of, reason_of
from tests.product import Door, eventually

pytestmark = pytest.mark.e2e

NDJSON = {"Accept": "application/x-ndjson"}


def alert(name: str, **changes: Any) -> dict[str, Any]:
    """An alert that began now."""
    started_at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    labels = {"alertname": name, "severity": "warning"}
    return {"labels": labels, "annotations": {}, "startsAt": started_at} | changes


async def samples_of(door: Door, selector: str) -> list[float]:
    """All values of a selector, by the gateway."""
    params = {"selector": selector, "startTime": "2026-11-01T00:00:00Z"}
    answer = await door.http.get("/api/v1/samples", params=params, headers=NDJSON)
    assert answer.status_code == 200, answer.text
    lines = [json.loads(line) for line in answer.text.splitlines()]
    return [v for line in lines for series in line["series"] for v in series["values"]]


async def test_metrics_go_in_and_come_out(door: Door) -> None:
    now_s = time.time()
    sent = [
        {"metric_name": "rest_value", "metric_value": 1.5, "timestamp": now_s - 2},
        {"metric_name": "rest_value", "metric_value": "NaN", "timestamp": now_s - 1},
        {"metric_name": "rest_value", "metric_value": 2.5},
    ]
    answer = await door.http.post("/api/v1/metrics", json=sent)
    assert answer.json() == {"accepted": 3, "duplicates": 0, "errors": []}
    assert await samples_of(door, "rest_value") == [1.5, "NaN", 2.5]
    listed = await door.http.get("/api/v1/series", params={"selector": "rest_value"})
    assert [s["labels"] for s in listed.json()["series"]] == [
        [{"name": "__name__", "value": "rest_value"}]
    ]


async def test_a_repeated_request_counts_once(door: Door) -> None:
    sent = {"metric_name": "once", "metric_value": 1}
    headers = {"Idempotency-Key": "the same"}
    answers = [
        (await door.http.post("/api/v1/metrics", json=sent, headers=headers)).json()
        for _ in range(3)
    ]
    assert [(a["accepted"], a["duplicates"]) for a in answers] == [(1, 0), (0, 1), (0, 1)]
    assert await samples_of(door, "once") == [1]


async def test_what_ingest_refuses_is_named_by_its_place(door: Door) -> None:
    good = {"metric_name": "mixed", "metric_value": 1}
    sent = [
        good | {"labels": {"x" * 129: "x"}},
        good,
        good | {"labels": {"a": "\0"}},
        good | {"timestamp": time.time() + 3600},
        good | {"metric_name": ""},
        good | {"labels": {f"l{n}": "x" for n in range(64)}},
        good | {"labels": {"a": "x" * 5000}},
    ]
    answer = await door.http.post("/api/v1/metrics", json=sent)
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == 1
    assert [(e["index"], e["reason"]) for e in answer.json()["errors"]] == [
        (0, "INVALID_LABELS"),
        (2, "INVALID_LABELS"),
        (3, "TOO_FAR_IN_FUTURE"),
        (4, "INVALID_LABELS"),
        (5, "INVALID_LABELS"),
        (6, "INVALID_LABELS"),
    ]


async def test_alerts_are_taken_once(door: Door) -> None:
    firing = alert("TakenOnce")
    bad = alert("Bad", labels={"": "x"})
    first = (await door.http.post("/api/v1/alerts", json=[firing, bad])).json()
    assert (first["accepted"], [e["index"] for e in first["errors"]]) == (1, [1])
    again = (await door.http.post("/api/v1/alerts", json=[bad, firing])).json()
    assert (again["accepted"], again["duplicates"]) == (0, 1)
    assert again["alertIds"] == ["", first["alertIds"][0]]
    one = (await door.http.get(f"/api/v1/alerts/{first['alertIds'][0]}")).json()["alert"]
    assert one["state"] == "ALERT_STATE_FIRING"
    over = firing | {"endsAt": datetime.now(UTC).isoformat()}
    assert (await door.http.post("/api/v1/alerts", json=[over])).json()["accepted"] == 1
    one = (await door.http.get(f"/api/v1/alerts/{first['alertIds'][0]}")).json()
    assert one["alert"]["state"] == "ALERT_STATE_RESOLVED"
    assert len(one["history"]) == 2


async def test_only_bad_alerts_are_400(door: Door) -> None:
    answer = await door.http.post("/api/v1/alerts", json=[alert("a", labels={})])
    assert (answer.status_code, fields_of(answer)) == (400, ["alerts[0]"])


async def test_an_explanation_streams_to_its_result(door: Door) -> None:
    taken = (await door.http.post("/api/v1/alerts", json=[alert("Streamed")])).json()
    subject = {"subject": {"alertId": taken["alertIds"][0]}}
    async with asyncio.timeout(300):
        answer = await door.http.post("/api/v1/explanations:explain", json=subject, headers=NDJSON)
    assert answer.status_code == 200, answer.text
    frames = [json.loads(line) for line in answer.text.splitlines()]
    assert "result" in frames[-1]
    latest = await door.http.get("/api/v1/analysis/latest")
    assert latest.json()["explanation"]["state"] == "EXPLANATION_STATE_DONE"


async def test_a_watch_lives_by_heartbeats(door: Door) -> None:
    url, params = "/api/v1/anomalies:watch", {"heartbeatInterval": "1s"}
    kinds: list[str] = []
    async with asyncio.timeout(120), door.http.stream("GET", url, params=params) as response:
        async for line in response.aiter_lines():
            kinds += [line.removeprefix("event: ")] if line.startswith("event: ") else []
            if len(kinds) == 2:
                break
    assert set(kinds) <= {"heartbeat", "anomaly"}


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/api/v1/alerts/nothing", 400, "INVALID_ALERT_ID"),
        ("/api/v1/alerts/0123456789abcdef-1700000000000", 404, "ALERT_NOT_FOUND"),
        ("/api/v1/anomalies/nothing", 404, "ANOMALY_NOT_FOUND"),
        ("/api/v1/explanations/nothing", (400, 404), None),
        ("/api/v1/alerts?selector={", 400, "INVALID_SELECTOR"),
        ("/api/v1/anomalies?selector={", 400, "INVALID_SELECTOR"),
        ("/api/v1/series?selector={", 400, "INVALID_SELECTOR"),
        ("/api/v1/alerts?pageToken=x", 400, "INVALID_PAGE_TOKEN"),
        ("/api/v1/anomalies?pageToken=x", 400, "INVALID_PAGE_TOKEN"),
        ("/api/v1/explanations?pageToken=x", 400, "INVALID_PAGE_TOKEN"),
        ("/api/v1/alerts?pageSize=100000", 400, "INVALID_PAGE_SIZE"),
        ("/api/v1/samples", 400, None),
        ("/api/v1/samples?selector=up", 400, None),
        ("/api/v1/anomalies:watch?selector={", 400, "INVALID_SELECTOR"),
        ("/api/v1/anomalies:watch?heartbeatInterval=100s", (200, 400), None),
        ("/api/v1/subscriptions/NO!/dead-letters", 400, "INVALID_SUBSCRIPTION"),
    ],
)
async def test_bad_questions_are_answered_with_a_reason(
    door: Door, path: str, status: int | tuple[int, ...], reason: str | None
) -> None:
    async with door.http.stream("GET", path) as answer:
        allowed = status if isinstance(status, tuple) else (status,)
        if answer.status_code != 200:
            await answer.aread()
            assert reason in (None, reason_of(answer)), answer.text
        assert answer.status_code in allowed


HOSTILE = [
    "\0",
    "a\0b",
    "\x7f",
    "\ufffd",
    "'; DROP TABLE x; --",
    "\U0001f4a5" * 600,
    "{",
    '"',
    "\\",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_no_text_is_a_fault_of_ours(door: Door, text: str) -> None:
    for body in (
        {"metric_name": text, "metric_value": 1},
        {"metric_name": "hostile", "metric_value": 1, "labels": {"a": text}},
        {"metric_name": "hostile", "metric_value": 1, "labels": {text: "a"}},
    ):
        answer = await door.http.post("/api/v1/metrics", json=body)
        assert answer.status_code in (200, 400), answer.text
    for labels in ({"alertname": text}, {text: "a"}):
        hostile = alert("Hostile", labels=labels, annotations={"a": text, text: "a"})
        answer = await door.http.post("/api/v1/alerts", json=[hostile])
        assert answer.status_code in (200, 400), answer.text
    for params in (
        {"selector": text},
        {"selector": f'{{a="{text}"}}'},
        {"selector": f'{{a=~"{text}"}}'},
        {"pageToken": text},
    ):
        for path in ("alerts", "anomalies", "series", "explanations"):
            if path == "explanations" and "selector" in params:
                continue
            answer = await door.http.get(f"/api/v1/{path}", params=params)
            assert answer.status_code in (200, 400), answer.text
    for path in ("alerts", "anomalies", "explanations"):
        answer = await door.http.get(f"/api/v1/{path}/{quote(text, safe='')}")
        assert answer.status_code in (400, 404), answer.text
    for subject in ({"alertId": text}, {"anomalyId": text}):
        url, body = "/api/v1/explanations:explain", {"subject": subject}
        for sent in (body, body | {"requestId": text}):
            answer = await door.http.post(url, json=sent)
            assert answer.status_code in (400, 404), answer.text


async def test_health_is_whole(door: Door) -> None:
    async with httpx.AsyncClient(
        base_url=str(door.http.base_url), trust_env=False, timeout=60
    ) as http:

        async def healthy() -> bool | None:
            return (await http.get("/health")).json()["status"] == "healthy" or None

        await eventually(healthy, what="health: a probe of a busy machine may come too late")
