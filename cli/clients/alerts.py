"""Alerts as ingest has them."""

import asyncio

import grpc

from cli.problem import Problem
from sensus.ingest.v1 import ingest_service_pb2 as pb
from sensus.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub

_ATTEMPTS = 20
_INTERVAL_S = 0.25


async def find_alert(channel: grpc.aio.Channel, selector: str) -> str:
    """Id of the newest alert that matches; Problem when there is none after five seconds."""
    request = pb.ListAlertsRequest(selector=selector, page_size=1)
    for _ in range(_ATTEMPTS):
        response = await IngestServiceStub(channel).ListAlerts(request)
        if response.alerts:
            return str(response.alerts[0].alert_id)
        await asyncio.sleep(_INTERVAL_S)
    raise Problem(f"ingest has no alert {selector}")
