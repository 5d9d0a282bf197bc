"""A real alert and a real metric go in, an explanation with evidence comes out."""

import itertools
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e.otlp_receiver import Receiver
from tests.e2e.scraping import pages, scrape
from tests.product import Door, eventually, webhook

pytestmark = pytest.mark.e2e

SCORED = r"^sensus_detector_samples_scored_total [1-9]"


def now_text() -> str:
    """The time as Alertmanager writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def explanation_of(door: Door, alert_id: str) -> dict[str, Any]:
    """The finished explanation of an alert, as REST gives it."""

    async def ask() -> dict[str, Any] | None:
        answer = await door.http.get(
            "/api/v1/explanations",
            params={"subject.alertId": alert_id, "state": "EXPLANATION_STATE_DONE"},
        )
        assert answer.status_code == 200, answer.text
        found = answer.json()["explanations"]
        return found[0] if found else None

    found = await eventually(ask, what=f"the explanation of {alert_id}")
    whole = await door.http.get(f"/api/v1/explanations/{found['explanationId']}")
    return dict(whole.json()["explanation"])


async def alert_named(door: Door, name: str) -> dict[str, Any]:
    """The one episode of an alert name."""
    answer = await door.http.get("/api/v1/alerts", params={"selector": f'{{alertname="{name}"}}'})
    assert answer.status_code == 200, answer.text
    (alert,) = answer.json()["alerts"]
    return dict(alert)


async def write_history(door: Door, host: str) -> None:
    """Half an hour of a calm CPU and a disk, then a CPU that jumps five minutes ago."""
    now_ms = int(time.time() * 1000)
    at = range(now_ms - 1_800_000, now_ms, 15_000)
    cpu = [(t, 20.0 + (t // 15_000) % 3 + (60.0 if t > now_ms - 300_000 else 0.0)) for t in at]
    disk = [(t, 40.0 + (t // 15_000) % 2) for t in at]
    request = {
        "producer_id": f"history-{host}",
        "batch": {
            "sequence": 1,
            "series": [series("cpu_usage", host, cpu), series("disk_usage", host, disk)],
        },
    }
    answer = await door.http.post("/api/v1/samples:write", json=request)
    assert answer.status_code == 200, answer.text
    assert answer.json()["ack"]["accepted"] == len(cpu) + len(disk)


def series(name: str, host: str, rows: list[tuple[int, float]]) -> dict[str, Any]:
    """The JSON form of a TimeSeries."""
    return {
        "labels": [{"name": "__name__", "value": name}, {"name": "host", "value": host}],
        "samples": [{"timestamp_ms": str(at), "value": value} for at, value in rows],
    }


async def test_alert_is_explained_by_itself_with_the_series_that_moved(door: Door) -> None:
    await write_history(door, "web-1")
    body = webhook("HighCPU", starts_at=now_text(), host="web-1", severity="critical")
    answer = await door.http.post("/api/v1/alerts", json=body)
    assert answer.status_code == 200, answer.text

    alert = await alert_named(door, "HighCPU")
    explanation = await explanation_of(door, alert["alertId"])

    assert explanation["verdict"] == "VERDICT_EXPLAINED"
    assert explanation["wording"]["provider"]
    shown = {label["value"] for e in explanation["evidence"] for label in e.get("labels", [])}
    assert "cpu_usage" in shown
    assert any("cpu_usage" in str(s) for s in explanation["suspects"][:1]), explanation["suspects"]


async def test_one_trace_leads_from_the_webhook_to_the_explanation(
    door: Door, receiver: Receiver
) -> None:
    await write_history(door, "web-2")
    body = webhook("TracedCPU", starts_at=now_text(), host="web-2", severity="critical")
    await door.http.post("/api/v1/alerts", json=body)
    alert = await alert_named(door, "TracedCPU")
    explanation = await explanation_of(door, alert["alertId"])
    trace_id = explanation["traceId"]

    expected = {
        ("sensus-gateway", "POST /api/v1/alerts"),
        ("sensus-gateway", "sensus.ingest.v1.IngestService/WriteAlerts"),
        ("sensus-ingest", "sensus.ingest.v1.IngestService/WriteAlerts"),
        ("sensus-explainer", "process alert"),
        ("sensus-detector", "sensus.detector.v1.DetectorService/ListAnomalies"),
        ("sensus-ingest", "sensus.ingest.v1.IngestService/QuerySamples"),
    }

    async def all_there() -> bool | None:
        return True if expected <= receiver.names(trace_id) else None

    try:
        await eventually(all_there, what="the whole trace")
    except AssertionError:
        assert expected <= receiver.names(trace_id)
    assert receiver.chain(trace_id, "sensus-explainer", "process alert") == [
        ("sensus-explainer", "process alert"),
        ("sensus-ingest", "sensus.ingest.v1.IngestService/WriteAlerts"),
        ("sensus-gateway", "sensus.ingest.v1.IngestService/WriteAlerts"),
        ("sensus-gateway", "POST /api/v1/alerts"),
    ]
    assert not [span for span in receiver.spans_by_trace[trace_id] if span.is_error]


async def test_same_alert_told_ten_times_is_one_alert_and_one_explanation(door: Door) -> None:
    at = now_text()
    for _ in range(10):
        body = webhook("Repeated", starts_at=at, host="web-3", severity="warning")
        assert (await door.http.post("/api/v1/alerts", json=body)).status_code == 200
    alert = await alert_named(door, "Repeated")
    await explanation_of(door, alert["alertId"])
    answer = await door.http.get(
        "/api/v1/explanations", params={"subject.alertId": alert["alertId"]}
    )
    assert len(answer.json()["explanations"]) == 1


async def test_detector_warms_up_then_announces_a_jump(door: Door) -> None:
    assert (await door.status()).phase in (1, 2)
    now_ms = int(time.time() * 1000) - 900_000
    names = [f"steady_{i}" for i in range(20)]
    for first in range(0, 300, 30):
        at = [(k, now_ms - (300 - k) * 1000) for k in range(first, first + 30)]
        await door.write(
            "steady",
            {n: [(ms, 10.0 + (k * (i + 3)) % 7) for k, ms in at] for i, n in enumerate(names)},
        )

    async def scoring() -> bool | None:
        return True if (await door.status()).phase == 2 else None

    await eventually(scoring, what="the first model")
    at_s = itertools.count()

    async def scores() -> bool | None:
        k = next(at_s)
        await door.write("steady", {n: [(now_ms + k * 1000, 10.0 + k % 7)] for n in names})
        found = re.search(SCORED, await scrape(pages(door)["detector"]), re.MULTILINE)
        return True if found else None

    await eventually(scores, what="a score by it")
    for n in range(30):
        k = next(at_s)
        jump = 500.0 if n >= 25 else 0.0
        rows = {n: [(now_ms + k * 1000, 10.0 + (k * (i + 3)) % 7)] for i, n in enumerate(names)}
        rows[names[0]] = [(now_ms + k * 1000, 10.0 + jump)]
        await door.write("steady", rows)

    async def anomaly() -> dict[str, Any] | None:
        answer = await door.http.get("/api/v1/anomalies", params={"selector": "steady_0"})
        assert answer.status_code == 200, answer.text
        jumps = [found for found in answer.json()["anomalies"] if found["value"] > 500.0]
        return dict(jumps[-1]) if jumps else None

    found = await eventually(anomaly, what="the anomaly")
    assert found["value"] == 510.0
    assert found["expected"]["high"] < 510.0
    whole = await door.http.get(f"/api/v1/anomalies/{found['anomalyId']}")
    assert whole.json()["anomaly"]["contributions"]
