"""Spans of server and client, and the context that travels."""

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from mesh import errors
from mesh.clients import closing
from mesh.telemetry import parent_of, provider, span, traceparent
from mesh.telemetry.tracing import SAMPLE
from tests.mesh.conftest import ECHO, Echo, method

Spans = InMemorySpanExporter
CALL = f"{ECHO}/Call"
FOREIGN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def one(spans: Spans, name: str, kind: SpanKind) -> ReadableSpan:
    """The only finished span of that name and kind."""
    found = [s for s in spans.get_finished_spans() if s.name == name and s.kind is kind]
    assert len(found) == 1, [s.name for s in spans.get_finished_spans()]
    return found[0]


def parent_id(child: ReadableSpan) -> int | None:
    return child.parent.span_id if child.parent else None


async def test_one_trace_leads_from_the_caller_into_the_handler(
    serve: Any, connect: Any, spans: Spans
) -> None:
    async def handler(request: bytes, context: Any) -> bytes:
        with span("work"):
            return traceparent().encode()

    channel = await connect(await serve(Echo(unary={"Call": handler})))
    with span("caller") as caller:
        seen = await channel.unary_unary(method("Call"))(b"")
    client, server = one(spans, CALL, SpanKind.CLIENT), one(spans, CALL, SpanKind.SERVER)
    work = one(spans, "work", SpanKind.INTERNAL)
    assert parent_id(client) == caller.get_span_context().span_id
    assert parent_id(server) == client.context.span_id
    assert parent_id(work) == server.context.span_id
    assert seen.decode().split("-")[1] == f"{caller.get_span_context().trace_id:032x}"
    for each in (client, server):
        assert each.attributes is not None
        assert each.attributes["rpc.system.name"] == "grpc"
        assert each.attributes["rpc.method"] == CALL
        assert each.attributes["rpc.response.status_code"] == "OK"
        assert each.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("error", "code", "server_status"),
    [
        (RuntimeError("boom"), "INTERNAL", StatusCode.ERROR),
        (errors.FailedPrecondition("first train"), "FAILED_PRECONDITION", StatusCode.UNSET),
        (errors.DeadlineExceeded("late"), "DEADLINE_EXCEEDED", StatusCode.ERROR),
    ],
)
async def test_errors_are_marked_on_both_sides(
    error: Exception, code: str, server_status: StatusCode, serve: Any, connect: Any, spans: Spans
) -> None:
    async def handler(request: bytes, context: Any) -> bytes:
        raise error

    running = await serve(Echo(unary={"Call": handler}))
    channel = await connect(running)
    with pytest.raises(errors.SensusError), errors.translated():
        await channel.unary_unary(method("Call"))(b"")
    await running.server.stop(0, 60)  # the span ends a moment after the caller has its answer
    client, server = one(spans, CALL, SpanKind.CLIENT), one(spans, CALL, SpanKind.SERVER)
    for each, status in ((client, StatusCode.ERROR), (server, server_status)):
        assert each.attributes is not None
        assert each.attributes["rpc.response.status_code"] == code
        assert each.status.status_code is status
    exceptions = [event.name for event in server.events]
    assert exceptions == (["exception"] if isinstance(error, RuntimeError) else [])


async def test_deadline_and_cancellation_show_in_the_span(
    serve: Any, connect: Any, spans: Spans
) -> None:
    import asyncio

    async def handler(request: bytes, context: Any) -> bytes:
        await asyncio.sleep(60)
        return b""

    running = await serve(Echo(unary={"Call": handler}))
    channel = await connect(running)
    with pytest.raises(errors.DeadlineExceeded), errors.translated():
        await channel.unary_unary(method("Call"))(b"", timeout=2)
    await running.server.stop(0, 60)
    server = one(spans, CALL, SpanKind.SERVER)
    assert server.attributes is not None
    assert server.attributes["rpc.response.status_code"] == "DEADLINE_EXCEEDED"
    assert server.status.status_code is StatusCode.ERROR


async def test_span_of_a_stream_covers_only_its_open(
    serve: Any, connect: Any, spans: Spans
) -> None:
    async def talk(requests: Any, context: Any) -> AsyncIterator[bytes]:
        async for _ in requests:
            yield traceparent().encode()

    channel = await connect(await serve(Echo(bidi={"Call": talk})))
    with span("caller") as caller:
        async with closing(channel.stream_stream(method("Call"))()) as call:
            await call.write(b"")
            assert await call.read() == b"", "a handler of batches does not hang below one call"
            opened = one(spans, CALL, SpanKind.SERVER)
    assert parent_id(opened) == caller.get_span_context().span_id
    assert opened.attributes is not None
    assert opened.attributes["rpc.response.status_code"] == "OK"


async def test_server_stream_works_in_the_trace_of_its_caller(
    serve: Any, connect: Any, spans: Spans
) -> None:
    async def handler(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"opened"
        with span("late work"):
            yield b"done"

    channel = await connect(await serve(Echo(server_stream={"Call": handler})))
    assert [r async for r in channel.unary_stream(method("Call"))(b"")] == [b"opened", b"done"]
    opened = one(spans, CALL, SpanKind.SERVER)
    assert parent_id(one(spans, "late work", SpanKind.INTERNAL)) == opened.context.span_id


async def test_stream_that_breaks_later_leaves_an_error_span(
    serve: Any, connect: Any, spans: Spans
) -> None:
    async def handler(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"opened"
        raise errors.Unavailable("the database is gone")

    running = await serve(Echo(server_stream={"Call": handler}))
    channel = await connect(running)
    with pytest.raises(errors.Unavailable), errors.translated():
        _ = [r async for r in channel.unary_stream(method("Call"))(b"")]
    await running.server.stop(0, 60)  # the span ends a moment after the caller has its answer
    broke = one(spans, f"{CALL} broke", SpanKind.INTERNAL)
    assert broke.status.status_code is StatusCode.ERROR
    assert parent_id(broke) == one(spans, CALL, SpanKind.SERVER).context.span_id


async def test_health_is_not_traced(serve: Any, connect: Any, spans: Spans) -> None:
    channel = await connect(await serve(Echo()))
    await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=ECHO))
    kinds = [each.kind for each in spans.get_finished_spans()]
    assert SpanKind.SERVER not in kinds


async def test_traceparent_of_a_message_makes_the_parent(spans: Spans) -> None:
    with span("process", kind=SpanKind.CONSUMER, parent=FOREIGN):
        pass
    processed = one(spans, "process", SpanKind.CONSUMER)
    assert f"{processed.context.trace_id:032x}" == FOREIGN.split("-")[1]
    assert f"{parent_id(processed):016x}" == FOREIGN.split("-")[2]


async def test_links_are_unique_valid_and_capped(spans: Spans) -> None:
    others = [f"00-{n:032x}-{n:016x}-01" for n in range(1, 200)]
    with span("process", links=[FOREIGN, FOREIGN, "nonsense", *others]):
        pass
    linked = one(spans, "process", SpanKind.INTERNAL)
    assert f"{linked.links[0].context.trace_id:032x}" == FOREIGN.split("-")[1]
    assert len(linked.links) == 127
    assert len({link.context.trace_id for link in linked.links}) == 127


def test_traceparent_is_empty_outside_of_spans() -> None:
    assert traceparent() == ""
    assert not trace.get_current_span(parent_of("")).get_span_context().is_valid
    assert not trace.get_current_span(parent_of("00-zz")).get_span_context().is_valid


def test_exception_marks_a_span_and_a_cancellation_does_not(spans: Spans) -> None:
    import asyncio

    with pytest.raises(ValueError, match="boom"), span("fails"):
        raise ValueError("boom")
    with pytest.raises(asyncio.CancelledError), span("ends"):
        raise asyncio.CancelledError
    assert one(spans, "fails", SpanKind.INTERNAL).status.status_code is StatusCode.ERROR
    assert one(spans, "ends", SpanKind.INTERNAL).status.status_code is StatusCode.UNSET


def test_ratio_decides_for_points_and_alerts_are_always_kept() -> None:
    kept = InMemorySpanExporter()
    none = provider("test", 0.0)
    none.add_span_processor(SimpleSpanProcessor(kept))
    tracer = none.get_tracer("test")
    unsampled_parent = parent_of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
    sampled_parent = parent_of(FOREIGN)
    tracer.start_span("points").end()
    tracer.start_span("alert", attributes={SAMPLE: "always"}).end()
    tracer.start_span("anomaly", context=unsampled_parent, attributes={SAMPLE: "always"}).end()
    tracer.start_span("below points", context=unsampled_parent).end()
    tracer.start_span("below alert", context=sampled_parent).end()
    names = [each.name for each in kept.get_finished_spans()]
    assert names == ["alert", "anomaly", "below alert"]
    assert kept.get_finished_spans()[0].resource.attributes["service.name"] == "sensus-test"


async def test_methods_of_the_alert_intake_are_always_sampled(
    serve: Any, connect: Any, spans: Spans
) -> None:
    async def handler(request: bytes, context: Any) -> bytes:
        return b""

    echo = Echo(unary={"Call": handler, "Points": handler})
    running = await serve(echo, always_sampled=[method("Call")])
    channel = await connect(running)
    await channel.unary_unary(method("Call"))(b"")
    await channel.unary_unary(method("Points"))(b"")
    alert = one(spans, CALL, SpanKind.SERVER)
    points = one(spans, f"{ECHO}/Points", SpanKind.SERVER)
    assert (alert.attributes or {}).get(SAMPLE) == "always"
    assert SAMPLE not in (points.attributes or {})


def test_spans_that_nobody_exports_have_ids_and_record_nothing() -> None:
    program = """
from opentelemetry import trace
from mesh.telemetry.tracing import UnexportedTraces, parent_of, span, traceparent, tracer

trace.set_tracer_provider(UnexportedTraces())
assert traceparent() == ""
with span("root", links=["00-" + "1" * 32 + "-" + "2" * 16 + "-01"]) as root:
    assert not root.is_recording()
    outer = traceparent()
    with span("below"):
        inner = traceparent()
    assert traceparent() == outer
    with tracer.start_as_current_span("beside"):
        assert traceparent().split("-")[1] == outer.split("-")[1]
assert traceparent() == ""
assert inner.split("-")[1] == outer.split("-")[1]
assert inner.split("-")[2] != outer.split("-")[2]
with span("elsewhere", parent="00-" + "a" * 32 + "-" + "b" * 16 + "-01"):
    assert traceparent()[:36] == "00-" + "a" * 32 + "-"
    assert traceparent()[-2:] == "00"
try:
    with span("fails"):
        raise ValueError
except ValueError:
    assert traceparent() == ""
print("done")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("done\n", "")
