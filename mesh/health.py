"""Health in the form of grpc.health.v1: SERVING only while every dependency answers."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as grpc_health_aio

from mesh.metrics import COMPONENT_HEALTHY

LIVENESS: Final = ""
READINESS: Final = "readiness"

_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING

Probe = Callable[[], Awaitable[None]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentHealth:
    """What the last probe of a dependency said; `detail` is empty when it answered."""

    healthy: bool
    detail: str = ""
    latency_ms: float = 0.0


class Health:
    """Probes the dependencies and reports to clients and orchestrators.

    The name "" is liveness: SERVING while the process runs, whatever the dependencies do. The full
    service names and "readiness" follow the probes, and are NOT_SERVING until all have answered.
    """

    def __init__(
        self, service_names: Iterable[str], *, every_s: float = 2.0, probe_timeout_s: float = 3.0
    ) -> None:
        """Takes full names such as `sensus.ingest.v1.IngestService`."""
        self.service_names = tuple(service_names)
        self._every_s = every_s
        self._probe_timeout_s = probe_timeout_s
        self._servicer = grpc_health_aio.HealthServicer()
        self._probes: dict[str, Probe] = {}
        self._components: dict[str, ComponentHealth] = {}
        self._sides: set[str] = set()
        self._stopped = False

    def register(self, server: grpc.aio.Server) -> None:
        """Serves grpc.health.v1 on `server`."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def add_check(self, name: str, probe: Probe) -> None:
        """Adds a dependency and probes it once. `probe` raises when it is not well."""
        self._probes[name] = probe
        await self._run(name, probe)

    async def add_side_check(self, name: str, probe: Probe) -> None:
        """Adds a dependency that the service can do without: reported under its own name only."""
        self._sides.add(name)
        await self.add_check(name, probe)

    async def announce(self) -> None:
        """Tells all watchers how things stand; before that, they hear SERVICE_UNKNOWN."""
        status = _SERVING if self.healthy else _NOT_SERVING
        for name in (READINESS, *self.service_names):
            await self._servicer.set(name, status)
        for name in self._sides & self._components.keys():
            side = _SERVING if self._components[name].healthy else _NOT_SERVING
            await self._servicer.set(name, side)

    async def watch(self) -> None:
        """Probes for ever; a worker of the process."""
        while True:
            await self.probe()
            await asyncio.sleep(self._every_s)

    async def probe(self) -> bool:
        """Probes everything once, tells the watchers and says whether all is well."""
        await asyncio.gather(*(self._run(name, probe) for name, probe in self._probes.items()))
        await self.announce()
        return self.healthy

    @property
    def healthy(self) -> bool:
        """Whether every dependency answered its last probe and the process is not stopping."""
        needed = (c for name, c in self._components.items() if name not in self._sides)
        return not self._stopped and all(c.healthy for c in needed)

    def components(self) -> dict[str, ComponentHealth]:
        """The last probe of each dependency, by name."""
        return dict(self._components)

    async def shutdown(self) -> None:
        """NOT_SERVING from now on, except for liveness: a draining process is not restarted."""
        self._stopped = True
        await self.announce()

    async def _run(self, name: str, probe: Probe) -> None:
        before = self._components.get(name)
        now = await self._asked(probe)
        if before is not None and before.healthy and not now.healthy:
            # one late answer of a busy machine is no outage; one that is gone fails again at once
            now = await self._asked(probe)
        self._note(name, now)

    async def _asked(self, probe: Probe) -> ComponentHealth:
        started_s = time.perf_counter()
        detail = ""
        try:
            async with asyncio.timeout(self._probe_timeout_s):
                await probe()
        except Exception as error:
            detail = str(error) or type(error).__name__
        latency_ms = (time.perf_counter() - started_s) * 1000
        return ComponentHealth(healthy=not detail, detail=detail, latency_ms=latency_ms)

    def _note(self, name: str, now: ComponentHealth) -> None:
        before = self._components.get(name)
        self._components[name] = now
        COMPONENT_HEALTHY.labels(name).set(now.healthy)
        if before is None or before.healthy != now.healthy:
            log = logger.info if now.healthy else logger.warning
            log(
                "component is %s",
                "up" if now.healthy else "down",
                extra={"component": name, "detail": now.detail},
            )
