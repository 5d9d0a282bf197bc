"""The services of the OpenTelemetry Collector on the wire: OTLP over gRPC."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from mesh import otlp
from mesh.auth import Policy, current_principal
from services.ingest.write.events import EventWrites
from services.ingest.write.otlp import OtlpWrites


def access() -> Mapping[str, Policy]:
    """Who may call which method."""
    return {signal.method: signal.policy for signal in otlp.SIGNALS}


def register(metrics: OtlpWrites, events: EventWrites, server: grpc.aio.Server) -> None:
    """Serves all three signals."""

    async def export_metrics(body: bytes, context: object) -> ExportMetricsServiceResponse:
        written = await metrics.write(current_principal().subject, body)
        answer = ExportMetricsServiceResponse()
        if written.rejected:
            answer.partial_success.rejected_data_points = written.rejected
            answer.partial_success.error_message = written.message
        return answer

    async def export_traces(body: bytes, context: object) -> ExportTraceServiceResponse:
        written = await events.write_traces(current_principal().subject, body)
        answer = ExportTraceServiceResponse()
        if written.rejected:
            answer.partial_success.rejected_spans = written.rejected
            answer.partial_success.error_message = written.message
        return answer

    async def export_logs(body: bytes, context: object) -> ExportLogsServiceResponse:
        written = await events.write_logs(current_principal().subject, body)
        answer = ExportLogsServiceResponse()
        if written.rejected:
            answer.partial_success.rejected_log_records = written.rejected
            answer.partial_success.error_message = written.message
        return answer

    behaviours = {
        otlp.METRICS: export_metrics,
        otlp.TRACES: export_traces,
        otlp.LOGS: export_logs,
    }
    for signal, behaviour in behaviours.items():
        server.add_registered_method_handlers(signal.service, {"Export": _handler(behaviour)})


def _handler(behaviour: Callable[..., Awaitable[Message]]) -> Any:
    """The request stays bytes: it is read by columns."""
    return grpc.unary_unary_rpc_method_handler(
        behaviour,
        request_deserializer=None,
        response_serializer=lambda answer: answer.SerializeToString(),
    )
