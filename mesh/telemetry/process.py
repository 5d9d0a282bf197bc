"""Telemetry of a process: opened first, closed last, so that nothing it says is lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final, Protocol

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import start_http_server

from mesh.config import exports_traces
from mesh.metrics import LOOP_LAG
from mesh.telemetry.logs import configure_logs
from mesh.telemetry.tracing import provider

_LAG_EVERY_S: Final = 0.25
_EXPORT_TIMEOUT_S: Final = 2
"""A collector that is away must not hold up a stop."""


class TelemetryConfig(Protocol):
    """The part of a config that telemetry needs; `mesh.config.Common` has it."""

    @property
    def log_level(self) -> str:
        """Least level that is logged."""

    @property
    def log_format(self) -> str:
        """`json` or `console`."""

    @property
    def listen_host(self) -> str:
        """Address of the metrics server."""

    @property
    def metrics_port(self) -> int:
        """Port of the metrics server; 0 for none."""

    @property
    def trace_sample_ratio(self) -> float:
        """Share of ordinary traces that is kept."""


@asynccontextmanager
async def setup(service: str, config: TelemetryConfig) -> AsyncIterator[None]:
    """Logs, traces, `/metrics` and the loop's lag for a process; flushes traces at the end.

    Traces are exported over OTLP when OpenTelemetry's own variables name a collector.
    """
    configure_logs(service, config.log_level, config.log_format)
    traces = _tracer_provider(service, config.trace_sample_ratio)
    lag = asyncio.create_task(measure_lag(), name="loop lag")
    try:
        with _metrics_server(config.listen_host, config.metrics_port):
            yield
    finally:
        lag.cancel()
        with suppress(asyncio.CancelledError):
            await lag
        await asyncio.to_thread(traces.shutdown)


async def measure_lag() -> None:
    """Notes for ever how late the loop wakes up."""
    while True:
        due_s = time.perf_counter() + _LAG_EVERY_S
        await asyncio.sleep(_LAG_EVERY_S)
        LOOP_LAG.observe(max(0.0, time.perf_counter() - due_s))


def _tracer_provider(service: str, sample_ratio: float) -> TracerProvider:
    traces = provider(service, sample_ratio)
    if exports_traces():
        traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=_EXPORT_TIMEOUT_S)))
    trace.set_tracer_provider(traces)
    return traces


@contextmanager
def _metrics_server(host: str, port: int) -> Iterator[None]:
    if port == 0:
        yield
        return
    server, thread = start_http_server(port, host)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
