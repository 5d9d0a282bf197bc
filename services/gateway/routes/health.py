"""/health, /livez, /readyz and /metrics: for people, orchestrators and Prometheus."""

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final, Literal

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from mesh.auth import PUBLIC
from services.gateway.health import DATABASE, SERVICES, Component, Surroundings
from services.gateway.http.bodies import json_response
from services.gateway.http.endpoint import Endpoint, Handle, Operation

_NEEDED: Final = (DATABASE, *SERVICES)
"""What Sensus cannot do without. Redis is only the fast road, the model only words."""

_VERSION: Final = version("sensus")


class ComponentStatus(msgspec.Struct, kw_only=True):
    """How one component answered its last probe."""

    status: Literal["up", "down", "not_configured"]
    latency_ms: float


class HealthReport(msgspec.Struct, kw_only=True):
    """`degraded` when something is down that Sensus can do without."""

    status: Literal["healthy", "degraded", "unhealthy"]
    version: str
    timestamp: datetime
    components: dict[str, ComponentStatus]


class Standing(msgspec.Struct, kw_only=True):
    """Whether to restart, or to send requests."""

    status: str


_HEALTH: Final = Operation(
    tag="Operation",
    name="GetHealth",
    summary="Every component, the version and the time",
    description="503 while the database or a service is down.",
    answer=HealthReport,
)
_LIVE: Final = Operation(
    tag="Operation", name="GetLiveness", summary="The process runs", answer=Standing
)
_READY: Final = Operation(
    tag="Operation",
    name="GetReadiness",
    summary="Requests may come; 503 while starting, draining or without database",
    answer=Standing,
)
_METRICS: Final = Operation(
    tag="Operation",
    name="GetMetrics",
    summary="Metrics for Prometheus",
    answer=str,
    media_type="text/plain",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRoutes:
    """Probes and scrapes; open to all, without details of what failed."""

    surroundings: Surroundings

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of this subject."""
        return [
            _open("/health", self._health, _HEALTH),
            _open("/livez", self._live, _LIVE),
            _open("/readyz", self._ready, _READY),
            _open("/metrics", self._metrics, _METRICS),
        ]

    async def _health(self, request: Request) -> Response:
        components = self.surroundings.components()
        status = _overall(components)
        report = HealthReport(
            status=status,
            version=_VERSION,
            timestamp=datetime.now(UTC),
            components={
                name: msgspec.convert(seen, ComponentStatus, from_attributes=True)
                for name, seen in components.items()
            },
        )
        return json_response(report, 503 if status == "unhealthy" else 200)

    async def _live(self, request: Request) -> Response:
        return json_response(Standing(status="alive"))

    async def _ready(self, request: Request) -> Response:
        if self.surroundings.is_ready:
            return json_response(Standing(status="ready"))
        return json_response(Standing(status="not ready"), 503)

    async def _metrics(self, request: Request) -> Response:
        return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _overall(
    components: dict[str, Component],
) -> Literal["healthy", "degraded", "unhealthy"]:
    down = {name for name, component in components.items() if component.status == "down"}
    if down & set(_NEEDED):
        return "unhealthy"
    return "degraded" if down else "healthy"


def _open(path: str, handle: Handle, operation: Operation) -> Endpoint:
    return Endpoint(method="GET", path=path, policy=PUBLIC, handle=handle, operation=operation)
