"""OpenTelemetry of one service, as its own documentation sets it up; what disturbs it is told."""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry._logs import NoOpLoggerProvider
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.grpc import aio_client_interceptors, aio_server_interceptor
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import NoOpTracerProvider

CLOCKS = {"seats": 1.0, "prices": -0.6, "bank": 0.4}
"""Shares of that by which the clock of a service is off."""


@dataclass(frozen=True, kw_only=True)
class Disturbances:
    """What is wrong with the telemetry, beside the fault.

    Attributes:
        sampled: Share of traces that are kept, decided at their root.
        lost: Share of spans that never arrive.
        without: A service that sends nothing.
        clocks_ms: How far clocks are off, at most.
        logs: Whether log lines are sent.
    """

    sampled: float = 1.0
    lost: float = 0.0
    without: str = ""
    clocks_ms: float = 0.0
    logs: bool = True


@dataclass(frozen=True, kw_only=True)
class Sending:
    """Where telemetry goes."""

    target: str
    token: str
    disturbances: Disturbances = field(default_factory=Disturbances)


class _Disturbed(SpanExporter):
    """Loses a share of the spans on the way, without a word, and has a clock that is off."""

    def __init__(self, inner: SpanExporter, share: float, clock_ns: int) -> None:
        self._inner, self._share, self._clock_ns = inner, share, clock_ns
        self._dice = random.Random(7)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        kept = [span for span in spans if self._dice.random() >= self._share]
        for span in kept:
            span._start_time += self._clock_ns
            span._end_time += self._clock_ns
        return self._inner.export(kept) if kept else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._inner.shutdown()


class Telemetry:
    """Tracer, logger and interceptors of one version of one service."""

    def __init__(self, service: str, version: str, instance: str, sending: Sending) -> None:
        """`service` is its whole name; the part behind the last dash is its role."""
        disturbances, role = sending.disturbances, service.rpartition("-")[2]
        is_silent = disturbances.without == role
        headers = {"authorization": f"Bearer {sending.token}"}
        where: Any = {"endpoint": sending.target, "insecure": True, "headers": headers}
        resource = Resource.create(
            {
                "service.name": service,
                "service.version": version,
                "service.instance.id": instance,
            }
        )
        self.traces: Any = NoOpTracerProvider()
        if not is_silent:
            sampler = ParentBased(TraceIdRatioBased(disturbances.sampled))
            self.traces = TracerProvider(resource=resource, sampler=sampler)
            exporter: SpanExporter = OTLPSpanExporter(**where)
            if disturbances.lost or disturbances.clocks_ms:
                clock_ns = round(1e6 * disturbances.clocks_ms * CLOCKS.get(role, 0.0))
                exporter = _Disturbed(exporter, disturbances.lost, clock_ns)
            self.traces.add_span_processor(BatchSpanProcessor(exporter))
        self.lines: Any = NoOpLoggerProvider()
        if disturbances.logs and not is_silent:
            self.lines = LoggerProvider(resource=resource)
            self.lines.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(**where)))
        self.tracer = self.traces.get_tracer("tickets")
        self.logger = logging.Logger(service)
        self.logger.addHandler(LoggingHandler(logger_provider=self.lines))

    def server_interceptors(self) -> list[Any]:
        """For a gRPC server."""
        return [aio_server_interceptor(tracer_provider=self.traces)]

    def client_interceptors(self) -> list[Any]:
        """For a gRPC channel."""
        return list(aio_client_interceptors(tracer_provider=self.traces))

    def of_redis(self, client: Any) -> Any:
        """A client that is traced."""
        RedisInstrumentor.instrument_client(client, tracer_provider=self.traces)
        return client

    def of_sqlite(self, connection: Any) -> Any:
        """A connection that is traced."""
        return SQLite3Instrumentor.instrument_connection(connection, tracer_provider=self.traces)

    def close(self) -> None:
        """Sends what waits."""
        for each in (self.traces, self.lines):
            if hasattr(each, "shutdown"):
                each.shutdown()
