"""Telemetry of a process: opened first, closed last, so that nothing it says is lost."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Final, Protocol

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from mesh.config import exports_traces, misspelt
from mesh.metrics import LOOP_LAG
from mesh.telemetry.exposition import metrics_server
from mesh.telemetry.logs import configure_logs
from mesh.telemetry.sampling import Sampling
from mesh.telemetry.tracing import UnexportedTraces, provider

_LAG_EVERY_S: Final = 0.25
_REPORT_EVERY_S: Final = 5.0
_EXPORT_TIMEOUT_S: Final = 2
"""A collector that is away must not hold up a stop."""

logger = logging.getLogger(__name__)


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
    sampling = configure_logs(service, config.log_level, config.log_format)
    for name, nearest in misspelt(type(config), prefix=service).items():
        logger.warning("no setting has this name", extra={"variable": name, "nearest": nearest})
    traces = _tracer_provider(service, config.trace_sample_ratio)
    tasks = [
        asyncio.create_task(measure_lag(), name="loop lag"),
        asyncio.create_task(_report_left_out(sampling), name="lines left out"),
    ]
    try:
        with _metrics(config):
            yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        sampling.report(now=True)
        await asyncio.to_thread(traces.shutdown)


async def measure_lag() -> None:
    """Notes for ever how late the loop wakes up."""
    while True:
        due_s = time.perf_counter() + _LAG_EVERY_S
        await asyncio.sleep(_LAG_EVERY_S)
        LOOP_LAG.observe(max(0.0, time.perf_counter() - due_s))


async def _report_left_out(sampling: Sampling) -> None:
    while True:
        await asyncio.sleep(_REPORT_EVERY_S)
        sampling.report()


def _metrics(config: TelemetryConfig) -> AbstractContextManager[object]:
    if config.metrics_port == 0:
        return nullcontext()
    return metrics_server(config.listen_host, config.metrics_port)


def _tracer_provider(service: str, sample_ratio: float) -> TracerProvider | UnexportedTraces:
    traces: TracerProvider | UnexportedTraces = UnexportedTraces()
    if exports_traces():
        traces = provider(service, sample_ratio)
        traces.add_span_processor(BatchSpanProcessor(_exporter()))
    trace.set_tracer_provider(traces)
    return traces


def _exporter() -> SpanExporter:
    """Imported only where it is used: it would be a sixth of what a start imports."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(timeout=_EXPORT_TIMEOUT_S)
