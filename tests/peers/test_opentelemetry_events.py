"""The exporters of OpenTelemetry for Python: spans and log records come through as events."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from cli.product.tokens import user_token
from tests.event_reader import reading
from tests.product import Door, eventually

pytestmark = [
    pytest.mark.peers,
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("ignore:`LoggingHandler` in `opentelemetry-sdk`:DeprecationWarning"),
]

Exporters = tuple[Any, Any]


def by_grpc(door: Door, token: str) -> Exporters:
    to: dict[str, Any] = {
        "endpoint": f"http://{door.product.run.ingest_target}",
        "insecure": True,
        "headers": (("authorization", f"Bearer {token}"),),
    }
    return GrpcSpans(**to), GrpcLogs(**to)


def by_http(door: Door, token: str) -> Exporters:
    more: dict[str, Any] = {
        "headers": {"authorization": f"Bearer {token}"},
        "compression": Compression.Gzip,
    }
    url = door.product.run.gateway_url
    return HttpSpans(f"{url}/v1/traces", **more), HttpLogs(f"{url}/v1/logs", **more)


@pytest.mark.parametrize("way", [by_grpc, by_http])
async def test_what_the_sdk_tells_comes_through(
    door: Door, way: Callable[[Door, str], Exporters]
) -> None:
    name = f"peer-{way.__name__}"
    token = user_token(door.product.directory, scopes=["write:traces", "write:logs"])
    async with reading(door.ingest, f"{name.replace('_', '-')}") as reader:
        await asyncio.to_thread(work, name, *way(door, token))

        async def all_came() -> bool | None:
            rows = reader.rows
            services = [reader.operations[int(each)][0] for each in rows["operation"]]
            return True if services.count(name) == 5 else None

        await eventually(all_came, within_s=60, what="two spans, an exception and two lines")
    rows = reader.rows
    rows = rows[[reader.operations[int(each)][0] == name for each in rows["operation"]]]
    by_kind = {int(kind): rows[rows["kind"] == kind] for kind in set(rows["kind"].tolist())}
    (server,), (client,) = by_kind[2], by_kind[3]
    assert reader.operations[int(server["operation"])] == (name, "GET /cart/{id}")
    assert int(client["parent"]) == int.from_bytes(bytes(server["span_id"]), "little")
    assert (int(server["status"]), int(client["code"])) == (2, 503)
    failed = [each for each in by_kind[16] if int(each["peer"])]
    assert {reader.exceptions[int(each["peer"])] for each in failed} == {"ValueError"}
    lines = [reader.patterns[int(each["parent"])] for each in by_kind[16] if int(each["parent"])]
    assert lines == ["no stock for <*>"]
    assert {bytes(each["trace_id"]) for each in rows if int(each["kind"]) < 17} == {
        bytes(server["trace_id"])
    }
    assert any("password=***" in each for each in reader.messages)


def work(name: str, spans: Any, logs: Any) -> None:
    """A request that calls another service, logs, and fails."""
    resource = Resource.create({"service.name": name, "service.version": "1.2"})
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    traces.add_span_processor(SimpleSpanProcessor(spans))
    lines = LoggerProvider(resource=resource, shutdown_on_exit=False)
    lines.add_log_record_processor(SimpleLogRecordProcessor(logs))
    logger = logging.getLogger(f"peers.{name}")
    logger.setLevel(logging.INFO)
    logger.addHandler(LoggingHandler(logger_provider=lines))
    tracer = traces.get_tracer("peers")
    served = {"http.request.method": "GET", "http.route": "/cart/{id}"}
    called = {"server.address": "stock", "http.response.status_code": 503}
    try:
        with tracer.start_as_current_span("GET", kind=trace.SpanKind.SERVER, attributes=served):
            with tracer.start_as_current_span("GET", kind=trace.SpanKind.CLIENT, attributes=called):
                logger.info("asked stock for 17")
            logger.warning("no stock for %d", 17)
            raise ValueError("password=hunter2")
    except ValueError:
        pass
    traces.shutdown()
    lines.shutdown()
