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
from services.notifier.channels.all import open_channels
from services.notifier.channels.http import ConnectionLimits
from services.notifier.channels.message import Channel
from services.notifier.channels.secrets import Secrets
from services.notifier.config import Config
from services.notifier.consumer import IncidentConsumer
from services.notifier.decisions.retry import RetryLimits
from services.notifier.delivery.deliveries import Deliveries
from services.notifier.delivery.replicas import ReplicaWatch
from services.notifier.delivery.sender import Sender
from services.notifier.feed import RoutingFeed
from services.notifier.health import RECEIVERS, ReceiverHealth
from services.notifier.queries import Queries
from services.notifier.servicer import NotifierServicer, Parts
from services.notifier.store import (
    Changes,
    Claims,
    HeldNotices,
    Incidents,
    IntegrationStore,
    Notices,
    Presence,
    RetentionStore,
    Routings,
    Settlements,
    Timers,
)
from services.notifier.texts.custom import CustomTexts
from services.notifier.texts.templates import Templates
from services.notifier.upkeep.housekeeping import Housekeeping

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
    housekeeping: Housekeeping


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outbound:
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
        reaching = ConnectionLimits(
            within_s=config.delivery_timeout_s,
            private_hosts=frozenset(host.lower() for host in config.private_hosts),
            resolve=resolve,
        )
        outbound = _Outbound(
            channels=await stack.enter_async_context(open_channels(reaching, secrets)),
            incidents=await stack.enter_async_context(_channel(config)),
            secrets=secrets,
            templates=templates,
        )
        yield await _assemble(config, clock, pool, identity, outbound)


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
    config: Config, clock: Clock, pool: "Pool", identity: Identity, outbound: _Outbound
) -> Notifier:
    drain, health, integration_store = Drain(), Health([FULL_NAME]), IntegrationStore(pool)
    await health.add_check("database", lambda: postgres.ping(pool))
    await identity.add_check(health)
    await health.add_side_check(RECEIVERS, ReceiverHealth(integration_store))
    feed, owner = RoutingFeed(Routings(pool), clock), uuid4()
    await feed.refresh()
    retry_limits = RetryLimits(critical_s=config.give_up_critical_s, other_s=config.give_up_s)
    housekeeping = Housekeeping(
        timers=Timers(pool),
        held=HeldNotices(pool),
        retention=RetentionStore(pool),
        integration_store=integration_store,
        feed=feed,
        retry_limits=retry_limits,
        clock=clock,
        retention_days=config.retention_days,
    )
    consumer = IncidentConsumer(
        incidents_grpc.IncidentsServiceStub(outbound.incidents),
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
    servicer = NotifierServicer(
        _parts(pool, integration_store, feed, outbound, clock, config.public_url)
    )
    pb_grpc.add_NotifierServiceServicer_to_server(servicer, server.grpc)
    return Notifier(
        server=server,
        workers={
            **identity.workers,
            "routing": feed.run,
            "incidents": consumer.run,
            "deliveries": _deliveries(
                config, owner, pool, feed, outbound, clock, drain, retry_limits
            ).run,
            "rounds": housekeeping.run,
        },
        drain=drain,
        owner=owner,
        pool=pool,
        feed=feed,
        housekeeping=housekeeping,
    )


def _parts(
    pool: "Pool",
    integration_store: IntegrationStore,
    feed: RoutingFeed,
    outbound: _Outbound,
    clock: Clock,
    public_url: str,
) -> Parts:
    notices = Notices(pool)
    queries = Queries(
        feed=feed,
        incidents=Incidents(pool),
        notices=notices,
        templates=outbound.templates,
        secrets=outbound.secrets,
        clock=clock,
        public_url=public_url,
    )
    return Parts(
        queries=queries,
        feed=feed,
        notices=notices,
        routings=Routings(pool),
        integration_store=integration_store,
    )


def _deliveries(
    config: Config,
    owner: UUID,
    pool: "Pool",
    feed: RoutingFeed,
    outbound: _Outbound,
    clock: Clock,
    drain: Drain,
    retry_limits: RetryLimits,
) -> Deliveries:
    sender = Sender(
        channels=outbound.channels,
        secrets=outbound.secrets,
        custom_texts=CustomTexts(templates=outbound.templates),
        clock=clock,
        public_url=config.public_url,
        within_s=config.delivery_within_s,
    )
    return Deliveries(
        Claims(pool, lease_s=config.delivery_lease_s),
        Settlements(pool, retry_limits),
        sender,
        feed,
        ReplicaWatch(Presence(pool), owner, clock),
        owner=owner,
        clock=clock,
        drain=drain,
        poll_s=config.poll_s,
        lease_s=config.delivery_lease_s,
    )
