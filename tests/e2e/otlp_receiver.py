"""A real OTLP receiver: the TraceService of opentelemetry-proto on a port of its own."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedSpan:
    """A span with the service that sent it."""

    service: str
    name: str
    span_id: str
    parent_id: str
    kind: int
    is_error: bool
    attributes: dict[str, str]


@dataclass(slots=True)
class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Spans by trace id, 32 hexadecimal digits."""

    endpoint: str = ""
    spans_by_trace: dict[str, list[ReceivedSpan]] = field(default_factory=lambda: defaultdict(list))

    async def Export(
        self,
        request: trace_service_pb2.ExportTraceServiceRequest,
        context: grpc.aio.ServicerContext,
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Keeps the spans."""
        for resource in request.resource_spans:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    received = _received(names["service.name"], span)
                    self.spans_by_trace[span.trace_id.hex()].append(received)
        return trace_service_pb2.ExportTraceServiceResponse()

    def names(self, trace_id: str) -> set[tuple[str, str]]:
        """Which service did what in a trace."""
        return {(span.service, span.name) for span in self.spans_by_trace.get(trace_id, [])}

    def chain(self, trace_id: str, service: str, name: str) -> list[tuple[str, str]]:
        """The span of that name and its ancestors, up to the root of the trace."""
        by_id = {span.span_id: span for span in self.spans_by_trace[trace_id]}
        at = next(s for s in by_id.values() if (s.service, s.name) == (service, name))
        found = [at]
        while at.parent_id in by_id:
            at = by_id[at.parent_id]
            found.append(at)
        return [(span.service, span.name) for span in found]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free port."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    receiver = Receiver()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)
    receiver.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield receiver
    finally:
        await server.stop(1)


def _received(service: str, span: trace_pb2.Span) -> ReceivedSpan:
    return ReceivedSpan(
        service=service,
        name=span.name,
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=span.kind,
        is_error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        attributes={a.key: a.value.string_value for a in span.attributes},
    )
