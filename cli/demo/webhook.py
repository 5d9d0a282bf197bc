"""The alert as Alertmanager would send it, webhook version 4 over HTTP, and as ingest has it."""

import asyncio
import secrets
import socket
from datetime import datetime
from typing import Any

import grpc
import httpx

from cli.problem import Problem
from sensus.ingest.v1 import ingest_service_pb2 as pb
from sensus.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub

_ATTEMPTS = 20
_INTERVAL_S = 0.25


async def log_in(gateway_url: str, password: str) -> str:
    """A token of the user admin, got with the password that the first start has made."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answer = await client.post(f"{gateway_url}/api/v1/auth/token", auth=("admin", password))
    if answer.status_code != httpx.codes.OK:
        raise Problem(f"login failed: {answer.status_code} {answer.text}")
    return str(answer.json()["access_token"])


async def send_alert(gateway_url: str, token: str, body: dict[str, Any]) -> str:
    """Posts the webhook under a trace of its own; returns the trace id. Problem unless 2xx."""
    trace_id = secrets.token_hex(16)
    headers = {
        "authorization": f"Bearer {token}",
        "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01",
    }
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answer = await client.post(f"{gateway_url}/api/v1/alerts", json=body, headers=headers)
    if not answer.is_success:
        raise Problem(f"the webhook was answered {answer.status_code}: {answer.text}")
    return trace_id


async def find_alert(channel: grpc.aio.Channel, selector: str) -> str:
    """Id of the newest alert that matches; Problem when there is none after five seconds."""
    request = pb.ListAlertsRequest(selector=selector, page_size=1)
    for _ in range(_ATTEMPTS):
        response = await IngestServiceStub(channel).ListAlerts(request)
        if response.alerts:
            return str(response.alerts[0].alert_id)
        await asyncio.sleep(_INTERVAL_S)
    raise Problem(f"ingest has no alert {selector}")


def high_cpu(began: datetime, percent: float) -> dict[str, Any]:
    """One firing alert about this machine's CPU."""
    labels = {"alertname": "HighCpuUsage", "severity": "critical", "instance": socket.gethostname()}
    annotations = {
        "summary": f"CPU usage of {labels['instance']} is {percent:.0f} %",
        "description": "node_cpu_utilization_ratio above 0.8",
    }
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": annotations,
        "startsAt": began.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph?g0.expr=node_cpu_utilization_ratio+%3E+0.8",
        "fingerprint": secrets.token_hex(8),
    }
    return {
        "version": "4",
        "groupKey": '{}:{alertname="HighCpuUsage"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "sensus",
        "groupLabels": {"alertname": "HighCpuUsage"},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "http://alertmanager.example",
        "alerts": [alert],
    }
