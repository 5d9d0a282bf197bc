"""The service as one object: what depends on what, and what runs beside the server."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import grpc

from mesh import migrations, postgres
from mesh.auth import TokenMinter
from mesh.clients import open_channel
from mesh.clients.identity import Identity, open_identity
from mesh.clock import Clock
from mesh.drain import Drain
from mesh.health import Health
from mesh.serving import Server, Worker, standard_server
from mesh.subscription import Amount, Subscription
from mesh.tls import channel_credentials
from sensus.explainer.v1 import explainer_service_pb2 as explainer_pb
from sensus.explainer.v1.explainer_service_pb2_grpc import ExplainerServiceStub
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from sensus.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub
from sensus.topology.v1 import topology_service_pb2 as pb
from services.topology import metrics
from services.topology.clients.explainer import ExplainerClient
from services.topology.clients.ingest import IngestClient
from services.topology.config import Config
from services.topology.consumer import TopologySubscriber
from services.topology.publisher import Deploys, SeriesPublisher
from services.topology.query.closed import ClosedMinutes
from services.topology.query.sides import Sides
from services.topology.servicer import FULL_NAME, Parts, register
from services.topology.shards.shard import ShardContext
from services.topology.store.checkpoints import CheckpointStore
from services.topology.store.examples import ExampleStore
from services.topology.store.minutes import MinuteStore
from services.topology.store.names import NameStore
from services.topology.store.patterns import PatternStore
from services.topology.store.published import PublishedStore
from services.topology.store.retention import RetentionStore
from services.topology.store.versions import VersionStore
from services.topology.upkeep.hours import HourRollup
from services.topology.upkeep.retention import Retention

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from sensus.explainer.v1.explainer_service_pb2_grpc import ExplainerServiceAsyncStub
    from sensus.ingest.v1.ingest_service_pb2_grpc import IngestServiceAsyncStub

SERVICE: Final = "topology"
_EXPLAINER: Final = explainer_pb.DESCRIPTOR.services_by_name["ExplainerService"].full_name
_INGEST: Final = ingest_pb.DESCRIPTOR.services_by_name["IngestService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A service that is ready to run; the last four are for tests."""

    server: Server
    workers: Mapping[str, Worker]
    pool: "Pool"
    deploys: Deploys
    hours: HourRollup
    retention: Retention


@asynccontextmanager
async def assemble(config: Config, clock: Clock) -> AsyncIterator[Topology]:
    """Opens what the service needs and puts it together.

    Raises:
        MigrationError: The schema is behind.
    """
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            postgres.open_pool(config.postgres_dsn, application_name=SERVICE)
        )
        await migrations.check(pool, SERVICE)
        identity = await stack.enter_async_context(open_identity(config, SERVICE, clock, pool))
        ingest = await _channel(stack, config, _INGEST, config.ingest_target)
        explainer = await _channel(stack, config, _EXPLAINER, config.explainer_target)
        counting, reading = _threads(stack, config.counting_threads), _threads(stack, 1)
        yield await _assemble(
            config,
            clock,
            pool,
            IngestServiceStub(ingest),
            ExplainerServiceStub(explainer),
            identity,
            counting,
            reading,
        )


async def _channel(
    stack: AsyncExitStack, config: Config, service: str, target: str
) -> grpc.aio.Channel:
    return await stack.enter_async_context(
        open_channel(
            target,
            service=service,
            tokens=TokenMinter.from_file(config.auth_key_file, SERVICE).service_token,
            caller=SERVICE,
            credentials=channel_credentials(config),
        )
    )


def _threads(stack: AsyncExitStack, count: int) -> Executor:
    threads = ThreadPoolExecutor(count)
    stack.callback(threads.shutdown, wait=False, cancel_futures=True)
    return threads


async def _assemble(
    config: Config,
    clock: Clock,
    pool: "Pool",
    ingest: "IngestServiceAsyncStub",
    explainer: "ExplainerServiceAsyncStub",
    identity: Identity,
    counting: Executor,
    reading: Executor,
) -> Topology:
    drain, health = Drain(), Health([FULL_NAME])
    await health.add_check("database", lambda: postgres.ping(pool))
    await identity.add_check(health)
    names, minutes = NameStore(pool), MinuteStore(pool)
    closed = ClosedMinutes(minutes, reading, limit_bytes=config.sums_bytes)
    terms = ShardContext(
        store=CheckpointStore(pool),
        names=names,
        pool=counting,
        clock=clock,
        checkpoint_interval_s=config.checkpoint_interval_s,
    )
    subscription = Subscription(
        ingest,
        partial(
            TopologySubscriber,
            terms,
            settle_s=config.settle_s,
            longest_s=config.settle_longest_s,
        ),
        clock,
        drain,
        consumer_id=config.consumer,
        limit=Amount(rows=config.in_flight_events, size_bytes=config.in_flight_bytes),
        show_credit=metrics.CREDIT_USED.set,
    )

    async def consume() -> None:
        await asyncio.get_running_loop().run_in_executor(counting, _compile)
        await subscription.run("events")

    server = standard_server(
        config,
        SERVICE,
        pb.DESCRIPTOR,
        standings=identity.standings,
        health=health,
        drain=drain,
    )
    parts = Parts(
        sides=Sides(minutes, closed, reading),
        names=names,
        patterns=PatternStore(pool),
        examples=ExampleStore(pool),
        versions=VersionStore(pool),
        clock=clock,
        threads=reading,
    )
    register(parts, server.grpc)
    published = PublishedStore(pool)
    series = SeriesPublisher(
        published, minutes, closed, names, IngestClient(ingest), reading, clock
    )
    deploys = Deploys(published, ExplainerClient(explainer), clock)
    hours = HourRollup(minutes, reading, clock)
    retention = Retention(RetentionStore(pool), clock)
    return Topology(
        server=server,
        workers={
            **identity.workers,
            "consumer": consume,
            "series": series.run,
            "deploys": deploys.run,
            "hours": hours.run,
            "retention": retention.run,
        },
        pool=pool,
        deploys=deploys,
        hours=hours,
        retention=retention,
    )


def _compile() -> None:
    """Loads the compiled loops, which takes seconds, away from the event loop."""
    from services.topology.traces import kernels  # noqa: F401
