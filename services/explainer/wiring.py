"""The service as one object: what depends on what, and what runs beside the server."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc

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
from services.explainer.jobs.jobs import Jobs
from services.explainer.jobs.pipeline import Pipeline
from services.explainer.jobs.subjects import Subjects
from services.explainer.jobs.trying import Trying
from services.explainer.jobs.words import OncePerGroup, Words
from services.explainer.opening import open_writer, sources_of
from services.explainer.prompts import shipped
from services.explainer.rankers import rank
from services.explainer.servicer import ExplainerServicer, Parts
from services.explainer.store import (
    Claims,
    Context,
    Cursors,
    Feedback,
    Frames,
    Groups,
    Incidents,
    Old,
    Prompts,
    Records,
)
from services.explainer.upkeep.retention import Retention
from services.explainer.wording.writer import Writer

if TYPE_CHECKING:
    from mesh.postgres import Pool

SERVICE: Final = "explainer"
FULL_NAME: Final = pb.DESCRIPTOR.services_by_name["ExplainerService"].full_name
INGEST: Final = ingest_pb.DESCRIPTOR.services_by_name["IngestService"].full_name
DETECTOR: Final = detector_pb.DESCRIPTOR.services_by_name["DetectorService"].full_name
LANGUAGE_MODEL: Final = "llm"
"""Health of the language models, told to the gateway; unknown when none is configured."""


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
        writer = await stack.enter_async_context(open_writer(config))
        explainer = await _assemble(config, clock, pool, peers, writer)
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
    config: Config, clock: Clock, pool: "Pool", peers: Peers, writer: Writer
) -> Explainer:
    drain, health, records = Drain(), Health([FULL_NAME]), Records(pool)
    prompts = Prompts(pool)
    await prompts.ship(shipped())
    await health.add_check("database", lambda: postgres.ping(pool))
    if writer.has_models:
        await health.add_side_check(LANGUAGE_MODEL, writer.check)
    ingest, detector = IngestClient(peers.ingest), DetectorClient(peers.detector)
    words = OncePerGroup(
        writer=writer, groups=Groups(pool, window_s=config.like_window_s), prompts=prompts
    )
    context, incidents = Context(pool), Incidents(pool)
    evidence = sources_of(config, ingest, detector, context, incidents)

    def work(words: Words, memory: Incidents | None = None) -> Pipeline:
        return Pipeline(
            sources=evidence,
            rank=rank,
            words=words,
            gather_within_s=config.gather_timeout_s,
            after_ms=config.reach.after_ms,
            incidents=memory,
        )

    subjects = Subjects(ingest, detector)
    jobs = Jobs(
        claims=Claims(pool, lease_s=config.job_lease_s),
        records=records,
        frames=Frames(pool),
        subjects=subjects,
        work=work(words, incidents),
        clock=clock,
        drain=drain,
        limits=config.limits,
    )
    alerts = _alerts(config, peers, jobs, drain)
    anomalies = _anomalies(config, pool, peers, jobs, drain)
    server = _server(config, health, drain)
    trying = Trying(subjects=subjects, prompts=prompts, writer=writer, work=work, clock=clock)
    parts = Parts(
        jobs=jobs,
        records=records,
        context=context,
        feedback=Feedback(pool),
        prompts=prompts,
        trying=trying,
        clock=clock,
    )
    pb_grpc.add_ExplainerServiceServicer_to_server(ExplainerServicer(parts), server.grpc)
    return Explainer(
        server=server,
        workers={
            "jobs": jobs.keep,
            "alerts": alerts.run,
            "anomalies": anomalies.run,
            "retention": _retention(config, pool, clock).run,
        },
        drain=drain,
        pool=pool,
        jobs=jobs,
        alerts=alerts,
        anomalies=anomalies,
    )


def _alerts(config: Config, peers: Peers, jobs: Jobs, drain: Drain) -> AlertConsumer:
    return AlertConsumer(
        ingest_grpc.IngestServiceStub(peers.ingest),
        jobs,
        consumer_id=config.consumer,
        at_once=config.explain_at_once,
        ack_deadline_s=config.ack_deadline_s,
        drain=drain,
    )


def _anomalies(
    config: Config, pool: "Pool", peers: Peers, jobs: Jobs, drain: Drain
) -> AnomalyConsumer:
    return AnomalyConsumer(
        detector_grpc.DetectorServiceStub(peers.detector),
        jobs,
        Cursors(pool, lease_s=2 * config.job_lease_s),
        min_severity=config.explain_anomalies_min_severity,
        at_once=config.explain_at_once,
        drain=drain,
    )


def _retention(config: Config, pool: "Pool", clock: Clock) -> Retention:
    return Retention(
        Old(pool),
        explanations_days=config.retention_days,
        frames_days=config.frame_retention_days,
        clock=clock,
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
