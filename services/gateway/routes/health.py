"""/health, /livez, /readyz and /metrics: for people, orchestrators and Prometheus."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final, Literal

import msgspec
from prometheus_client import REGISTRY, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response

from mesh.auth import PUBLIC
from services.gateway.health import DATABASE, SERVICES, STORAGE, Component, Dependencies
from services.gateway.http.bodies import JsonResponse
from services.gateway.http.endpoint import Endpoint, Handle, Operation
from services.gateway.intake.tally import Tally

_NEEDED: Final = (DATABASE, STORAGE, *SERVICES)
"""What Sensus cannot do without. Redis is only the fast road, the model only words."""

_DETAIL_OF_DOWN: Final = {
    DATABASE: "PostgreSQL does not answer",
    STORAGE: "PostgreSQL cannot write: look whether its disk is full",
}
"""What to look at. Fixed texts: /health is open to all and says no more of a failure."""

_VERSION: Final = version("sensus")


class ComponentStatus(msgspec.Struct, rename="camel", kw_only=True):
    """How one component answered its last probe."""

    status: Literal["up", "down", "not_configured"]
    latency_ms: float
    detail: str = ""


class RefusedItems(msgspec.Struct, rename="camel", kw_only=True):
    """What this gateway refused of HTTP senders since it started, also inside a 200."""

    by_reason: dict[str, int]
    last_at: datetime | None


class HealthReport(msgspec.Struct, rename="camel", kw_only=True):
    """`degraded` when something is down that Sensus can do without."""

    status: Literal["healthy", "degraded", "unhealthy"]
    version: str
    timestamp: datetime
    components: dict[str, ComponentStatus]
    refused: dict[str, RefusedItems]


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

    dependencies: Dependencies
    tally: Tally
    has_metrics: bool
    exposition: "Exposition" = field(default_factory=lambda: Exposition())

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of this subject; no /metrics where they have a port of their own."""
        metrics = [_open("/metrics", self._metrics, _METRICS)] if self.has_metrics else []
        return [
            _open("/health", self._health, _HEALTH),
            _open("/livez", self._live, _LIVE),
            _open("/readyz", self._ready, _READY),
            *metrics,
        ]

    async def _health(self, request: Request) -> Response:
        components = self.dependencies.components()
        status = _overall(components)
        report = HealthReport(
            status=status,
            version=_VERSION,
            timestamp=datetime.now(UTC),
            components={name: _shown(name, seen) for name, seen in components.items()},
            refused={
                kind: RefusedItems(by_reason=dict(seen.count_by_reason), last_at=seen.last_at)
                for kind, seen in self.tally.refused().items()
            },
        )
        return JsonResponse(report, 503 if status == "unhealthy" else 200)

    async def _live(self, request: Request) -> Response:
        return JsonResponse(Standing(status="alive"))

    async def _ready(self, request: Request) -> Response:
        if self.dependencies.is_ready:
            return JsonResponse(Standing(status="ready"))
        return JsonResponse(Standing(status="not ready"), 503)

    async def _metrics(self, request: Request) -> Response:
        text, content_type = await self.exposition.text(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": content_type})


class Exposition:
    """The text of all metrics: written off the loop, and once for all who ask meanwhile."""

    def __init__(self) -> None:
        """Writes nothing yet. Leaves out times of creation, which double the series of counters."""
        disable_created_metrics()
        self._writing: dict[str, asyncio.Task[bytes]] = {}

    async def text(self, accept: str) -> tuple[bytes, str]:
        """The metrics as they are now, or a moment ago, in the format that `accept` prefers."""
        encode, content_type = choose_encoder(accept)
        writing = self._writing.get(content_type)
        if writing is None or writing.done():
            writing = asyncio.create_task(asyncio.to_thread(encode, REGISTRY))
            self._writing[content_type] = writing
        return await asyncio.shield(writing), content_type


def _shown(name: str, seen: Component) -> ComponentStatus:
    shown = msgspec.convert(seen, ComponentStatus, from_attributes=True)
    shown.detail = _DETAIL_OF_DOWN.get(name, "") if shown.status == "down" else ""
    return shown


def _overall(
    components: dict[str, Component],
) -> Literal["healthy", "degraded", "unhealthy"]:
    down = {name for name, component in components.items() if component.status == "down"}
    if down & set(_NEEDED):
        return "unhealthy"
    return "degraded" if down else "healthy"


def _open(path: str, handle: Handle, operation: Operation) -> Endpoint:
    return Endpoint(
        method="GET",
        path=path,
        policy=PUBLIC,
        handle=handle,
        operation=operation,
        rate=None,
        probe=True,
    )
