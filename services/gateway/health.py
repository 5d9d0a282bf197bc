"""How the gateway and everything behind it is."""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from redis.asyncio import Redis

from mesh.auth import Standings
from mesh.errors import SensusError, Unavailable
from mesh.health import Health, Probe
from mesh.postgres import Pool, ping
from mesh.redis import Streams
from services.gateway.clients import Clients, service_name

DATABASE: Final = "database"
REDIS: Final = "redis"
STORAGE: Final = "storage"
LLM: Final = "llm"
RECEIVERS: Final = "receivers"
STANDING: Final = "standing"
SERVICES: Final = ("ingest", "detector", "explainer", "incidents", "notifier", "topology")

_PROBE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One component: `up`, `down` or `not_configured`."""

    status: str
    latency_ms: float


@dataclass(slots=True, kw_only=True)
class Dependencies:
    """Probes everything every second, so that a flood of questions costs nothing."""

    pool: Pool
    redis: "Redis"
    clients: Clients
    standings: Standings
    health: Health = field(default_factory=lambda: Health((), every_s=1.0))
    _llm_is_configured: bool = False
    _is_leaving: bool = False

    async def begin(self) -> None:
        """Probes everything once; `health.watch` goes on with it."""
        probes: dict[str, Probe] = {
            DATABASE: partial(ping, self.pool),
            REDIS: Streams(self.redis).ping,
            **{service: partial(self._probe, service) for service in SERVICES},
            STORAGE: self._probe_storage,
            LLM: self._probe_llm,
            RECEIVERS: self._probe_receivers,
            STANDING: self._probe_standing,
        }
        added = (self.health.add_check(name, probe) for name, probe in probes.items())
        await asyncio.gather(*added)

    def leave(self) -> None:
        """Not ready from now on: load balancers look elsewhere while we still answer."""
        self._is_leaving = True

    @property
    def is_ready(self) -> bool:
        """Whether requests should come here: not draining, and users can be told apart.

        The services behind do not count: without them every gateway would turn away everybody,
        where most requests could be answered.
        """
        database = self.health.components().get(DATABASE)
        return not self._is_leaving and database is not None and database.healthy

    def components(self) -> dict[str, Component]:
        """What the last probes said."""
        return {
            name: Component(
                status=self._status(name, seen.healthy), latency_ms=round(seen.latency_ms, 1)
            )
            for name, seen in self.health.components().items()
        }

    def _status(self, name: str, healthy: bool) -> str:
        if name == LLM and not self._llm_is_configured:
            return "not_configured"
        return "up" if healthy else "down"

    async def _probe(self, service: str) -> None:
        name = service_name(service)
        if not await self.clients.serving(name, name, _PROBE_S):
            raise Unavailable(f"{service} is not serving")

    async def _probe_storage(self) -> None:
        """Ingest knows; while it is away, that is what health says, and no more."""
        try:
            answer = await self.clients.serving(service_name("ingest"), STORAGE, _PROBE_S)
        except SensusError:
            return
        if answer is False:
            raise Unavailable("PostgreSQL cannot write: its disk may be full")

    async def _probe_standing(self) -> None:
        """Whether this gateway and every service that answers know whose tokens hold."""
        await self.standings.probe()
        informed = await asyncio.gather(*map(self._knows_standing, SERVICES))
        if not all(informed):
            raise Unavailable("a service does not know whose tokens hold")

    async def _knows_standing(self, service: str) -> bool:
        """True also for a service that does not answer: that is told under its own name."""
        try:
            answer = await self.clients.serving(service_name(service), STANDING, _PROBE_S)
        except SensusError:
            return True
        return answer is not False

    async def _probe_llm(self) -> None:
        """The explainer knows; a name it does not have means that no model is configured."""
        answer = await self.clients.serving(service_name("explainer"), LLM, _PROBE_S)
        self._llm_is_configured = answer is not None
        if answer is False:
            raise Unavailable("the language model does not answer")

    async def _probe_receivers(self) -> None:
        """The notifier knows; while it is away, that is what health says, and no more."""
        try:
            answer = await self.clients.serving(service_name("notifier"), RECEIVERS, _PROBE_S)
        except SensusError:
            return
        if answer is False:
            raise Unavailable("a receiver of notices does not answer")
