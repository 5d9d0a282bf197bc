"""The services of OTLP: under these names every sender of OpenTelemetry calls them."""

from dataclasses import dataclass
from typing import Final

from mesh.auth import Policy


@dataclass(frozen=True, slots=True)
class Signal:
    """What is sent, to which service, and the scope that allows it."""

    name: str
    service: str
    scope: str

    @property
    def method(self) -> str:
        """The full name of its only method."""
        return f"/{self.service}/Export"

    @property
    def policy(self) -> Policy:
        """Who may send it."""
        return Policy(any_of=frozenset({self.scope}))


METRICS: Final = Signal(
    "metrics", "opentelemetry.proto.collector.metrics.v1.MetricsService", "write:samples"
)
TRACES: Final = Signal(
    "traces", "opentelemetry.proto.collector.trace.v1.TraceService", "write:traces"
)
LOGS: Final = Signal("logs", "opentelemetry.proto.collector.logs.v1.LogsService", "write:logs")
SIGNALS: Final = (METRICS, TRACES, LOGS)
