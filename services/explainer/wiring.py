"""The service as one object: what depends on what, and what runs beside the server."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc
import httpx

from mesh import migrations, postgres
from mesh.auth import TokenMinter, TokenVerifier, policies
from mesh.clients import open_channel
from mesh.clock import Clock
from mesh.drain import Drain
from mesh.health import Health
from mesh.interceptors import server_interceptors
from mesh.serving import Server, Worker
from mesh.tls import channel_credentials, server_credentials
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.detector.v1 import detector_service_pb2_grpc as detector_grpc
from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.explainer.v1 import explainer_service_pb2_grpc as pb_grpc
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from sensus.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from services.explainer.clients import DetectorClient, IngestClient
from services.explainer.config import Config
from services.explainer.consumer import AlertConsumer, AnomalyConsumer
from services.explainer.gathering import Sources
from services.explainer.jobs import Jobs
from services.explainer.pipeline import Pipeline
from services.explainer.rankers import rank
from services.explainer.servicer import ExplainerServicer
from services.explainer.sources import MovedSeries, NearbyAlerts, NearbyAnomalies, SubjectSeries
from services.explainer.store import Claims, Cursors, Frames, Records
from services.explainer.subjects import Subjects
from services.explainer.wording.providers import providers_of
from services.explainer.wording.writer import Writer

if TYPE_CHECKING:
    from mesh.postgres import Pool

SERVICE: Final = "explainer"
FULL_NAME: Final = pb.DESCRIPTOR.services_by_name["ExplainerService"].full_name
INGEST: Final = ingest_pb.DESCRIPTOR.services_by_name["IngestService"].full_name
DETECTOR: Final = detector_pb.DESCRIPTOR.services_by_name["DetectorService"].full_name

_CONNECT_WITHIN_S: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """Channels to the services that are asked and watched."""

    ingest: grpc.aio.Channel
    detector: grpc.aio.Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Explainer:
    """A service that is ready to run; all but the first two are for tests."""

    server: Server
    workers: Mapping[str, Worker]
    drain: Drain
    pool: "Pool"
    jobs: Jobs
    alerts: AlertConsumer
    anomalies: AnomalyConsumer


@asynccontextmanager
async def assemble(config: Config, clock: Clock) -> AsyncIterator[Explainer]:
    """Opens what the service needs and puts it together; running jobs are stopped at the end.

    Raises:
        MigrationError: The schema is behind.
        ConfigError: A language model is not named as it should be.
    """
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            postgres.open_pool(config.postgres_dsn, application_name=SERVICE)
        )
        await migrations.check(pool, SERVICE)
        peers = Peers(
            ingest=await stack.enter_async_context(_channel(config, INGEST, config.ingest_target)),
            detector=await stack.enter_async_context(
                _channel(config, DETECTOR, config.detector_target)
            ),
        )
        http = await stack.enter_async_context(
            httpx.AsyncClient(
                timeout=httpx.Timeout(config.llm_idle_timeout_s, connect=_CONNECT_WITHIN_S),
                follow_redirects=False,
                trust_env=False,
            )
        )
        explainer = await _assemble(config, clock, pool, peers, http)
        stack.push_async_callback(explainer.jobs.close)
        yield explainer


@asynccontextmanager
async def _channel(config: Config, service: str, target: str) -> AsyncIterator[grpc.aio.Channel]:
    async with open_channel(
        target,
        service=service,
        tokens=TokenMinter.from_file(config.auth_key_file, SERVICE).service_token,
        caller=SERVICE,
        credentials=channel_credentials(config),
    ) as channel:
        yield channel


async def _assemble(
    config: Config, clock: Clock, pool: "Pool", peers: Peers, http: httpx.AsyncClient
) -> Explainer:
    drain, health, records = Drain(), Health([FULL_NAME]), Records(pool)
    await health.add_check("database", lambda: postgres.ping(pool))
    ingest, detector = IngestClient(peers.ingest), DetectorClient(peers.detector)
    jobs = Jobs(
        claims=Claims(pool, lease_s=config.job_lease_s),
        records=records,
        frames=Frames(pool),
        subjects=Subjects(ingest, detector),
        work=_pipeline(config, ingest, detector, http),
        clock=clock,
        drain=drain,
        limits=config.limits,
    )
    alerts = AlertConsumer(
        ingest_grpc.IngestServiceStub(peers.ingest),
        jobs,
        consumer_id=config.consumer,
        at_once=config.explain_at_once,
        ack_deadline_s=config.ack_deadline_s,
        drain=drain,
    )
    anomalies = AnomalyConsumer(
        detector_grpc.DetectorServiceStub(peers.detector),
        jobs,
        Cursors(pool, lease_s=2 * config.job_lease_s),
        min_severity=config.explain_anomalies_min_severity,
        at_once=config.explain_at_once,
        drain=drain,
    )
    server = _server(config, health, drain)
    pb_grpc.add_ExplainerServiceServicer_to_server(ExplainerServicer(jobs, records), server.grpc)
    return Explainer(
        server=server,
        workers={"jobs": jobs.keep, "alerts": alerts.run, "anomalies": anomalies.run},
        drain=drain,
        pool=pool,
        jobs=jobs,
        alerts=alerts,
        anomalies=anomalies,
    )


def _pipeline(
    config: Config, ingest: IngestClient, detector: DetectorClient, http: httpx.AsyncClient
) -> Pipeline:
    reach = config.reach
    sources = Sources(
        subject=SubjectSeries(ingest=ingest, reach=reach),
        nearby=(
            NearbyAnomalies(detector=detector, reach=reach),
            NearbyAlerts(ingest=ingest, reach=reach),
        ),
        moved=MovedSeries(ingest=ingest, detector=detector, reach=reach),
    )
    return Pipeline(
        sources=sources,
        rank=rank,
        writer=Writer(
            providers_of(config.llm_providers, http),
            within_s=config.llm_timeout_s,
            at_once=config.llm_at_once,
        ),
        gather_within_s=config.gather_timeout_s,
        after_ms=reach.after_ms,
    )


def _server(config: Config, health: Health, drain: Drain) -> Server:
    return Server(
        service=SERVICE,
        host=config.listen_host,
        port=config.grpc_port,
        interceptors=server_interceptors(
            verifier=TokenVerifier.from_file(config.auth_jwks_file),
            policies=policies([pb.DESCRIPTOR]),
        ),
        health=health,
        drain=drain,
        credentials=server_credentials(config),
    )
