"""The service as one object: what depends on what, and what runs beside the server."""

from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
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
from mesh.publisher import Publisher
from mesh.serving import Server, Worker, standard_server
from mesh.tls import channel_credentials
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.detector.v1.detector_service_pb2_grpc import DetectorServiceStub
from sensus.explainer.v1 import explainer_service_pb2 as explainer_pb
from sensus.explainer.v1.explainer_service_pb2_grpc import ExplainerServiceStub
from sensus.incidents.v1 import incidents_service_pb2 as pb
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from sensus.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub
from sensus.topology.v1 import topology_service_pb2 as topology_pb
from sensus.topology.v1.topology_service_pb2_grpc import TopologyServiceStub
from services.incidents import metrics
from services.incidents.clients.callgraph import CallGraph
from services.incidents.config import Config
from services.incidents.consumer import logs
from services.incidents.consumer.leader import Leader
from services.incidents.consumer.leader import Parts as LeadingParts
from services.incidents.consumer.watching import Watch
from services.incidents.correlator import Settings
from services.incidents.keeper.actions import Actions
from services.incidents.keeper.grouping import Grouping
from services.incidents.servicer import FULL_NAME, Parts, register
from services.incidents.store.history import HistoryStore
from services.incidents.store.incidents import IncidentStore
from services.incidents.store.lease import LeaseStore
from services.incidents.store.log import IncidentLog
from services.incidents.store.postmortems import PostmortemStore
from services.incidents.store.retention import RetentionStore
from services.incidents.store.rules import RuleStore
from services.incidents.store.services import ServiceStore
from services.incidents.store.silences import SilenceStore, Silencing
from services.incidents.upkeep.retention import Retention

if TYPE_CHECKING:
    from mesh.postgres import Pool

SERVICE: Final = "incidents"
_INGEST = ingest_pb.DESCRIPTOR.services_by_name["IngestService"].full_name
_DETECTOR = detector_pb.DESCRIPTOR.services_by_name["DetectorService"].full_name
_EXPLAINER = explainer_pb.DESCRIPTOR.services_by_name["ExplainerService"].full_name
_TOPOLOGY = topology_pb.DESCRIPTOR.services_by_name["TopologyService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Incidents:
    """A service that is ready to run; the last two are for tests."""

    server: Server
    workers: Mapping[str, Worker]
    pool: "Pool"
    retention: Retention


@asynccontextmanager
async def assemble(config: Config, clock: Clock) -> AsyncIterator[Incidents]:
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
        watches = [
            logs.alerts(
                IngestServiceStub(await _channel(stack, config, _INGEST, config.ingest_target))
            ),
            logs.anomalies(
                DetectorServiceStub(
                    await _channel(stack, config, _DETECTOR, config.detector_target)
                ),
                config.min_severity,
            ),
            logs.explanations(
                ExplainerServiceStub(
                    await _channel(stack, config, _EXPLAINER, config.explainer_target)
                )
            ),
        ]
        graph = CallGraph(await _topology(stack, config), clock)
        threads = ThreadPoolExecutor(1, thread_name_prefix="preview")
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        yield await _assemble(config, clock, pool, identity, (watches, graph), threads)


async def _topology(stack: AsyncExitStack, config: Config) -> TopologyServiceStub | None:
    """Who knows the calls, when there is somebody to ask."""
    if not config.topology_target:
        return None
    channel = await _channel(stack, config, _TOPOLOGY, config.topology_target)
    return TopologyServiceStub(channel)


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


async def _assemble(
    config: Config,
    clock: Clock,
    pool: "Pool",
    identity: Identity,
    sources: tuple[list[Watch], CallGraph],
    threads: ThreadPoolExecutor,
) -> Incidents:
    watches, graph = sources
    drain, health, times, settings = Drain(), Health([FULL_NAME]), config.times, Settings()
    await health.add_check("database", lambda: postgres.ping(pool))
    await identity.add_check(health)
    publisher = Publisher(IncidentLog(pool), clock, drain, metrics.WATCHERS)
    leading = Leader(
        LeadingParts(
            lease=LeaseStore(pool, lease_s=config.lease_s),
            rules=RuleStore(pool),
            graph=graph,
            silencing=Silencing(pool, times),
            grouping=partial(Grouping, pool, clock, settings, times),
            watches=watches,
        ),
        clock,
        drain,
        lease_s=config.lease_s,
    )
    server = standard_server(
        config,
        SERVICE,
        pb.DESCRIPTOR,
        standings=identity.standings,
        health=health,
        drain=drain,
    )
    parts = Parts(
        incidents=IncidentStore(pool),
        services=ServiceStore(pool),
        rules=RuleStore(pool),
        graph=graph,
        silences=SilenceStore(pool),
        postmortems=PostmortemStore(pool),
        history=HistoryStore(pool),
        actions=Actions(pool, clock, times),
        publisher=publisher,
        clock=clock,
        settings=settings,
        times=times,
        threads=threads,
    )
    register(parts, server.grpc)
    retention = Retention(RetentionStore(pool), clock, days=config.retention_days)
    workers = {
        **identity.workers,
        "publisher": publisher.run,
        "leading": leading.run,
        "graph": graph.run,
        "retention": retention.run,
    }
    return Incidents(server=server, workers=workers, pool=pool, retention=retention)
