"""The gateway's IdentityService, as every other service uses it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from mesh.auth import Standings, TokenMinter
from mesh.clients.audit import AuditForwarder
from mesh.clients.channel import open_channel
from mesh.clients.standing import StandingFeed
from mesh.clock import Clock
from mesh.health import Health
from mesh.serving import Worker
from mesh.tls import TlsConfig, channel_credentials
from sensus.identity.v1 import identity_service_pb2 as pb

if TYPE_CHECKING:
    from mesh.postgres import Pool

SERVICE_NAME: Final = pb.DESCRIPTOR.services_by_name["IdentityService"].full_name
STANDING: Final = "standing"
"""Name under which health tells whether the service knows whose tokens hold."""
OFF: Final = "off"
"""As the gateway's target: nobody is asked, tokens hold until they expire. For tests of a part."""


class IdentityConfig(TlsConfig, Protocol):
    """The part of a config that says where the gateway is; `mesh.config.Common` has it."""

    @property
    def gateway_target(self) -> str:
        """Address of the gateway's gRPC port."""

    @property
    def standing_grace_s(self) -> float:
        """How long the gateway may be silent."""

    @property
    def auth_key_file(self) -> Path:
        """The service's private key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a service knows of its callers, and the workers that keep it so."""

    standings: Standings | None = None
    feed: StandingFeed | None = None
    workers: Mapping[str, Worker] = field(default_factory=dict)

    async def add_check(self, health: Health) -> None:
        """Tells in health whether it works; services call each other without it."""
        if self.standings is not None and self.feed is not None:
            self.feed.on_known = health.probe
            await health.add_side_check(STANDING, self.standings.probe)


@asynccontextmanager
async def open_identity(
    config: IdentityConfig, service: str, clock: Clock, pool: "Pool"
) -> AsyncIterator[Identity]:
    """Follows the gateway in the name of `service`, and sends its audit log there.

    Both happen in the workers. `pool` reaches the schema that is named like the service.
    """
    if config.gateway_target == OFF:
        yield Identity()
        return
    async with open_channel(
        config.gateway_target,
        service=SERVICE_NAME,
        tokens=TokenMinter.from_file(config.auth_key_file, service).service_token,
        caller=service,
        credentials=channel_credentials(config),
    ) as channel:
        standings = Standings(clock, grace_s=config.standing_grace_s)
        feed = StandingFeed(channel, standings, clock)
        audit = AuditForwarder(channel, pool, service, clock)
        workers: dict[str, Worker] = {STANDING: feed.run, "audit": audit.run}
        yield Identity(standings=standings, feed=feed, workers=workers)
