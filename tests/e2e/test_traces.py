"""Spans of an unmodified SDK become the graph, behind the gateway and at the command line."""

import asyncio
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from cli.product.tokens import user_token
from tests.databases import fetch
from tests.product import Door, eventually

pytestmark = pytest.mark.e2e

REQUESTS = 20


def provider(door: Door, service: str, version: str) -> TracerProvider:
    """As a program that is told only where to send to."""
    token = user_token(door.product.directory, scopes=["write:traces"])
    made = TracerProvider(
        resource=Resource.create({"service.name": service, "service.version": version})
    )
    exporter = OTLPSpanExporter(
        f"{door.product.run.gateway_url}/v1/traces",
        headers={"authorization": f"Bearer {token}"},
    )
    made.add_span_processor(BatchSpanProcessor(exporter))
    return made


def orders(door: Door, version: str) -> None:
    """Twenty requests of one service that ask another, which fails once in four."""
    front, back = provider(door, "e2e-front", version), provider(door, "e2e-back", version)
    asking, asked = front.get_tracer("e2e"), back.get_tracer("e2e")
    route = {"http.request.method": "GET", "http.route": "/orders"}
    for number in range(REQUESTS):
        headers: dict[str, str] = {}
        with (
            asking.start_as_current_span("GET", kind=trace.SpanKind.SERVER, attributes=route),
            asking.start_as_current_span("GET", kind=trace.SpanKind.CLIENT),
        ):
            inject(headers)
        there: dict[str, Any] = {"kind": trace.SpanKind.SERVER, "context": extract(headers)}
        with asked.start_as_current_span("GET", attributes=route, **there) as span:
            if number % 4 == 0:
                span.record_exception(KeyError("no such order"))
                span.set_status(trace.StatusCode.ERROR)
    front.shutdown()
    back.shutdown()


async def test_spans_of_an_sdk_become_the_graph(door: Door) -> None:
    await asyncio.to_thread(orders, door, "7")

    async def counted() -> dict[str, Any] | None:
        asked = {"service": "e2e-back", "by_operation": "true"}
        answer = await door.http.get("/api/v1/topology/edges", params=asked)
        assert answer.status_code == 200, answer.text
        edges = answer.json().get("edges", [])
        return edges[0] if edges and int(edges[0]["counts"]["spans"]) == REQUESTS else None

    edge = await eventually(counted, what="calls between two services")
    assert edge["edge"]["callerService"] == "e2e-front"
    assert edge["edge"]["operation"] == "GET /orders"
    assert (int(edge["counts"]["errors"]), int(edge["counts"]["origins"])) == (5, 5)
    since = datetime.now(UTC) - timedelta(minutes=10)
    asked = {"start_time": since.isoformat()}
    answer = await door.http.get("/api/v1/traces:compare", params=asked)
    assert answer.status_code == 200, answer.text
    origins = [each for each in answer.json()["origins"] if each["service"] == "e2e-back"]
    assert [each["detail"] for each in origins] == ["KeyError"]
    await shown_at_the_command_line(door)
    versions = await door.http.get("/api/v1/versions", params={"service": "e2e-front"})
    assert [each["version"] for each in versions.json()["versions"]] == ["7"]


async def shown_at_the_command_line(door: Door) -> None:
    """As a table."""
    words = ("topology", "--service", "e2e-back", "--data-dir", door.product.directory.path)
    shown = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from cli.main import app; app()", *map(str, words)),
        stdout=subprocess.PIPE,
        env=os.environ | {"COLUMNS": "160"},
    )
    text = (await shown.communicate())[0].decode()
    assert shown.returncode == 0
    assert re.search(rf"e2e-front +e2e-back +call +{REQUESTS} +5 +5 ", text), text


async def test_a_version_that_is_new_is_a_change_by_itself(door: Door) -> None:
    await asyncio.to_thread(orders, door, "1.0")
    dsn = door.product.run.postgres_dsn

    async def known() -> bool | None:
        asked = {"service": "e2e-back"}
        answer = await door.http.get("/api/v1/versions", params=asked)
        versions = {each["version"] for each in answer.json().get("versions", [])}
        return True if "1.0" in versions else None

    await eventually(known, what="the first version")
    await asyncio.to_thread(orders, door, "1.1")

    async def told() -> set[str] | None:
        rows = await fetch(dsn, "SELECT change_id FROM explainer.change")
        found = {row["change_id"] for row in rows}
        return found if {"otel:e2e-back@1.1", "otel:e2e-front@1.1"} <= found else None

    found = await eventually(told, what="two deploys")
    assert len([each for each in found if each.endswith("@1.1")]) == 2


async def test_who_may_not_read_topology_is_told_so(door: Door) -> None:
    token = user_token(door.product.directory, scopes=["write:traces"])
    asked = {"headers": {"Authorization": f"Bearer {token}"}}
    answer = await door.http.get("/api/v1/topology/edges", **asked)
    assert answer.status_code == 403
