"""One trace leads from the caller through the commit to whoever consumes."""

import time

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from mesh import telemetry
from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.consumers import alerts_open, consuming, samples_open
from tests.ingest.harness import Running, alert, batch_request, opened, until

NOW = int(time.time() * 1000)


def named(spans: InMemorySpanExporter, name: str, trace_id: int) -> list[ReadableSpan]:
    return [
        span
        for span in spans.get_finished_spans()
        if span.name == name and span.context.trace_id == trace_id
    ]


async def test_a_batch_is_traced_to_its_append(
    service: Running, spans: InMemorySpanExporter
) -> None:
    with telemetry.span("sender") as sender:
        await service.stub.WriteBatch(batch_request("p", 1, [(1, NOW, 1.0)]))
        trace_id = sender.get_span_context().trace_id

    async def appended() -> list[ReadableSpan]:
        return named(spans, "append samples", trace_id)

    (producer,) = await until(appended)
    (commit,) = named(spans, "commit", trace_id)
    assert producer.kind is SpanKind.PRODUCER
    assert producer.parent.span_id == commit.context.span_id
    assert commit.attributes["db.system.name"] == "postgresql"
    servers = [s for s in spans.get_finished_spans() if s.kind is SpanKind.SERVER]
    assert commit.parent.span_id in {s.context.span_id for s in servers}
    async with consuming(service, samples_open()) as consumer:
        await consumer.until_count(1)
        (delivery,) = consumer.deliveries
    (traceparent,) = delivery.traceparents
    assert traceparent.startswith(f"00-{trace_id:032x}-{commit.context.span_id:016x}-")


async def test_an_alert_carries_the_span_that_brought_it(
    service: Running, spans: InMemorySpanExporter
) -> None:
    with telemetry.span("webhook") as webhook:
        request = pb.WriteAlertsRequest(alerts=[alert(start_ms=NOW)])
        (alert_id,) = (await service.stub.WriteAlerts(request)).alert_ids
        trace_id = webhook.get_span_context().trace_id
    (commit,) = named(spans, "commit", trace_id)
    async with opened(service.stub.Subscribe, alerts_open()) as stream:
        delivered = (await stream.next("alert")).alert.traceparent
    stored = (await service.stub.GetAlert(pb.GetAlertRequest(alert_id=alert_id))).alert
    assert delivered == stored.traceparent
    assert delivered.startswith(f"00-{trace_id:032x}-{commit.parent.span_id:016x}-")


async def test_a_failed_commit_is_marked_as_error(
    service: Running, spans: InMemorySpanExporter
) -> None:
    import asyncpg
    import grpc

    connection = await asyncpg.connect(service.dsn)
    await connection.execute("ALTER TABLE ingest.batch RENAME COLUMN producer_id TO gone")
    try:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await service.stub.WriteBatch(batch_request("p", 1, [(1, NOW, 1.0)]))
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert "gone" not in caught.value.details()
        (commit,) = [s for s in spans.get_finished_spans() if s.name == "commit"]
        assert not commit.status.is_ok
    finally:
        await connection.execute("ALTER TABLE ingest.batch RENAME COLUMN gone TO producer_id")
        await connection.close()
