"""Webhooks as Alertmanager sends them, and what ingest answers."""

from typing import Any

from sensus.ingest.v1 import ingest_service_pb2 as ingest

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
