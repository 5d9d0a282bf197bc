"""The service as one object: what depends on what, and what runs beside the server."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

import grpc

from mesh import migrations, postgres
from mesh.auth import TokenMinter
from mesh.clients import open_channel
from mesh.clients.identity import Identity, open_identity
from mesh.clock import Clock
from mesh.drain import Drain
from mesh.health import Health
from mesh.outbound import Resolve
from mesh.serving import Server, Worker, standard_server
from mesh.tls import channel_credentials
from sensus.incidents.v1 import incidents_service_pb2 as incidents_pb
from sensus.incidents.v1 import incidents_service_pb2_grpc as incidents_grpc
from sensus.notifier.v1 import notifier_service_pb2 as pb
from sensus.notifier.v1 import notifier_service_pb2_grpc as pb_grpc
from services.notifier.asked import Asked
from services.notifier.channels.all import open_channels
from services.notifier.channels.http import Reaching
from services.notifier.channels.message import Channel
from services.notifier.channels.secrets import Secrets
from services.notifier.config import Config
from services.notifier.consumer import IncidentConsumer
from services.notifier.decisions.retry import Patience
from services.notifier.delivery.attendance import Attendance
from services.notifier.delivery.deliveries import Deliveries
from services.notifier.delivery.sender import Sender
from services.notifier.feed import RoutingFeed
from services.notifier.health import RECEIVERS, ReceiverHealth
from services.notifier.servicer import NotifierServicer, Parts
from services.notifier.store import (
    Changes,
    Claims,
    Held,
    Incidents,
    Notices,
    Old,
    Presence,
    Routings,
    Settlements,
    Timers,
    Ways,
)
from services.notifier.texts.own import OwnTexts
from services.notifier.texts.templates import Templates
from services.notifier.upkeep.rounds import Rounds

if TYPE_CHECKING:
    from mesh.postgres import Pool

SERVICE: Final = "notifier"
FULL_NAME: Final = pb.DESCRIPTOR.services_by_name["NotifierService"].full_name
INCIDENTS: Final = incidents_pb.DESCRIPTOR.services_by_name["IncidentsService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifier:
    """A service that is ready to run; all but the first two are for tests."""

    server: Server
    workers: Mapping[str, Worker]
    drain: Drain
    owner: UUID
    pool: "Pool"
    feed: RoutingFeed
    rounds: Rounds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ends:
    """What leads out of the process."""

    channels: Mapping[str, Channel]
    incidents: grpc.aio.Channel
    secrets: Secrets
    templates: Templates


@asynccontextmanager
async def assemble(
    config: Config, clock: Clock, *, resolve: Resolve | None = None
) -> AsyncIterator[Notifier]:
    """Opens what the service needs and puts it together.

    Args:
        config: Its settings.
        clock: Its clock; leases and waits are reckoned by that of the database.
        resolve: Finds addresses of receivers; the machine's resolver by default.

    Raises:
        MigrationError: The schema is behind.
    """
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            postgres.open_pool(config.postgres_dsn, application_name=SERVICE)
        )
        await migrations.check(pool, SERVICE)
        identity = await stack.enter_async_context(open_identity(config, SERVICE, clock, pool))
        secrets, templates = Secrets(config.secret_directories), Templates()
        stack.push_async_callback(templates.close)
        reaching = Reaching(
            within_s=config.delivery_timeout_s,
            private_hosts=frozenset(host.lower() for host in config.private_hosts),
            resolve=resolve,
        )
        ends = _Ends(
            channels=await stack.enter_async_context(open_channels(reaching, secrets)),
            incidents=await stack.enter_async_context(_channel(config)),
            secrets=secrets,
            templates=templates,
        )
        yield await _assemble(config, clock, pool, identity, ends)


@asynccontextmanager
async def _channel(config: Config) -> AsyncIterator[grpc.aio.Channel]:
    async with open_channel(
        config.incidents_target,
        service=INCIDENTS,
        tokens=TokenMinter.from_file(config.auth_key_file, SERVICE).service_token,
        caller=SERVICE,
        credentials=channel_credentials(config),
    ) as channel:
        yield channel


async def _assemble(
    config: Config, clock: Clock, pool: "Pool", identity: Identity, ends: _Ends
) -> Notifier:
    drain, health, ways = Drain(), Health([FULL_NAME]), Ways(pool)
    await health.add_check("database", lambda: postgres.ping(pool))
    await identity.add_check(health)
    await health.add_side_check(RECEIVERS, ReceiverHealth(ways))
    feed, owner = RoutingFeed(Routings(pool), clock), uuid4()
    await feed.refresh()
    patience = Patience(critical_s=config.give_up_critical_s, other_s=config.give_up_s)
    rounds = Rounds(
        timers=Timers(pool),
        held=Held(pool),
        old=Old(pool),
        ways=ways,
        feed=feed,
        patience=patience,
        clock=clock,
        retention_days=config.retention_days,
    )
    consumer = IncidentConsumer(
        incidents_grpc.IncidentsServiceStub(ends.incidents),
        Changes(pool, lease_s=config.watch_lease_s),
        feed,
        owner=owner,
        clock=clock,
        drain=drain,
        cause_wait_s=config.explanation_wait_s,
    )
    server = standard_server(
        config,
        SERVICE,
        pb.DESCRIPTOR,
        standings=identity.standings,
        health=health,
        drain=drain,
    )
    servicer = NotifierServicer(_parts(pool, ways, feed, ends, clock, config.public_url))
    pb_grpc.add_NotifierServiceServicer_to_server(servicer, server.grpc)
    return Notifier(
        server=server,
        workers={
            **identity.workers,
            "routing": feed.run,
            "incidents": consumer.run,
            "deliveries": _deliveries(config, owner, pool, feed, ends, clock, drain, patience).run,
            "rounds": rounds.run,
        },
        drain=drain,
        owner=owner,
        pool=pool,
        feed=feed,
        rounds=rounds,
    )


def _parts(
    pool: "Pool", ways: Ways, feed: RoutingFeed, ends: _Ends, clock: Clock, public_url: str
) -> Parts:
    notices = Notices(pool)
    asked = Asked(
        feed=feed,
        incidents=Incidents(pool),
        notices=notices,
        templates=ends.templates,
        secrets=ends.secrets,
        clock=clock,
        public_url=public_url,
    )
    return Parts(asked=asked, feed=feed, notices=notices, routings=Routings(pool), ways=ways)


def _deliveries(
    config: Config,
    owner: UUID,
    pool: "Pool",
    feed: RoutingFeed,
    ends: _Ends,
    clock: Clock,
    drain: Drain,
    patience: Patience,
) -> Deliveries:
    sender = Sender(
        channels=ends.channels,
        secrets=ends.secrets,
        own_texts=OwnTexts(templates=ends.templates),
        clock=clock,
        public_url=config.public_url,
        within_s=config.delivery_within_s,
    )
    return Deliveries(
        Claims(pool, lease_s=config.delivery_lease_s),
        Settlements(pool, patience),
        sender,
        feed,
        Attendance(Presence(pool), owner, clock),
        owner=owner,
        clock=clock,
        drain=drain,
        poll_s=config.poll_s,
        lease_s=config.delivery_lease_s,
    )
