"""The service as one object: what depends on what, and what runs beside the server."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc

from mesh import migrations, postgres
from mesh.auth import TokenMinter
from mesh.clients import open_channel
from mesh.clients.identity import Identity, open_identity
from mesh.clock import Clock
from mesh.config import named_secret
from mesh.drain import Drain
from mesh.health import Health
from mesh.publisher import Publisher
from mesh.redis import open_redis
from mesh.serving import Server, Worker, standard_server
from mesh.tls import channel_credentials
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.detector.v1 import detector_service_pb2_grpc as detector_grpc
from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.explainer.v1 import explainer_service_pb2_grpc as pb_grpc
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from sensus.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from sensus.topology.v1 import topology_service_pb2 as topology_pb
from services.explainer import metrics
from services.explainer.claims.ask import Writer
from services.explainer.clients import DetectorClient, IngestClient, TopologyClient
from services.explainer.config import Config
from services.explainer.consumer import AlertConsumer, AnomalyConsumer
from services.explainer.evidence.collect import Sources
from services.explainer.evidence.sources import (
    ComparedTraces,
    MovedSeries,
    Nearby,
    NearbyChanges,
    OwnExemplars,
    PastIncidents,
    Reader,
    ReportedCalls,
    Source,
    SubjectSeries,
)
from services.explainer.explanations.lifecycle import Jobs
from services.explainer.explanations.pipeline import Pipeline
from services.explainer.explanations.revision import Revisions
from services.explainer.explanations.storms import FormSource, OncePerGroup, RulesOnly
from services.explainer.explanations.subjects import Subjects
from services.explainer.explanations.trial import Trial
from services.explainer.llm.cache import AnswerCache
from services.explainer.llm.providers import ConnectionLimits, open_providers
from services.explainer.llm.specs import endpoints_of
from services.explainer.prompts import shipped
from services.explainer.rankers import rank
from services.explainer.servicer import ExplainerServicer, Parts
from services.explainer.store.context import Context
from services.explainer.store.cursors import Cursors
from services.explainer.store.feedback import Feedback
from services.explainer.store.frames import Frames
from services.explainer.store.groups import Groups
from services.explainer.store.incidents import Incidents
from services.explainer.store.leases import Leases
from services.explainer.store.looks import LookStore
from services.explainer.store.prompts import Prompts
from services.explainer.store.records import Records
from services.explainer.store.retention import RetentionStore
from services.explainer.upkeep.retention import Retention

if TYPE_CHECKING:
    from mesh.postgres import Pool

SERVICE: Final = "explainer"
FULL_NAME: Final = pb.DESCRIPTOR.services_by_name["ExplainerService"].full_name
INGEST: Final = ingest_pb.DESCRIPTOR.services_by_name["IngestService"].full_name
DETECTOR: Final = detector_pb.DESCRIPTOR.services_by_name["DetectorService"].full_name
TOPOLOGY: Final = topology_pb.DESCRIPTOR.services_by_name["TopologyService"].full_name
LANGUAGE_MODEL: Final = "llm"
"""Health of the language models, told to the gateway; unknown when none is configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """Channels to the services that are asked and watched."""

    ingest: grpc.aio.Channel
    detector: grpc.aio.Channel
    topology: grpc.aio.Channel | None = None


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
    revisions: Revisions


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
        identity = await stack.enter_async_context(open_identity(config, SERVICE, clock, pool))
        peers = Peers(
            ingest=await stack.enter_async_context(_channel(config, INGEST, config.ingest_target)),
            detector=await stack.enter_async_context(
                _channel(config, DETECTOR, config.detector_target)
            ),
            topology=await stack.enter_async_context(
                _channel(config, TOPOLOGY, config.topology_target)
            )
            if config.topology_target
            else None,
        )
        writer = await stack.enter_async_context(_writer(config))
        explainer = await _assemble(config, clock, pool, peers, identity, writer)
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


@asynccontextmanager
async def _writer(config: Config) -> AsyncIterator[Writer]:
    """What asks the configured language models, and keeps their answers.

    Raises:
        ConfigError: A language model is not named as it should be.
    """
    hosts = frozenset(host.lower() for host in config.llm_private_hosts)
    endpoints = endpoints_of(config.llm_providers, private_hosts=hosts, secret=named_secret)
    reaching = ConnectionLimits(
        connect_s=config.llm_connect_timeout_s,
        idle_s=config.llm_idle_timeout_s,
        private_hosts=hosts,
    )
    async with (
        open_redis(config.redis_url) as redis,
        open_providers(endpoints, reaching) as providers,
    ):
        yield Writer(
            providers,
            within_s=config.llm_timeout_s,
            at_once=config.llm_at_once,
            answers=AnswerCache(redis),
        )


async def _assemble(
    config: Config, clock: Clock, pool: "Pool", peers: Peers, identity: Identity, writer: Writer
) -> Explainer:
    drain, health, records = Drain(), Health([FULL_NAME]), Records(pool)
    prompts = Prompts(pool)
    await prompts.ship(shipped())
    await health.add_check("database", lambda: postgres.ping(pool))
    await identity.add_check(health)
    if writer.has_models:
        await health.add_side_check(LANGUAGE_MODEL, writer.check)
    ingest, detector = IngestClient(peers.ingest), DetectorClient(peers.detector)
    context, incidents = Context(pool), Incidents(pool)
    reader = Reader(ingest=ingest, detector=detector, reach=config.reach)
    traced = (_exemplars(config, reader), *_traces(config, peers, clock))
    evidence = _sources(reader, traced, context, incidents)

    def work(asking: FormSource, memory: Incidents | None = None) -> Pipeline:
        return Pipeline(
            sources=evidence,
            rank=rank,
            asking=asking,
            gather_within_s=config.gather_timeout_s,
            after_ms=config.reach.after_ms,
            incidents=memory,
        )

    asking = OncePerGroup(
        writer=writer,
        groups=Groups(pool, window_s=config.like_window_s),
        prompts=prompts,
        clock=clock,
    )
    subjects = Subjects(ingest, detector)
    jobs = Jobs(
        leases=Leases(pool, lease_s=config.job_lease_s),
        records=records,
        frames=Frames(pool),
        subjects=subjects,
        work=work(asking, incidents),
        clock=clock,
        drain=drain,
        limits=config.limits,
    )
    revisions = Revisions(
        looks=LookStore(pool), subjects=subjects, work=work(RulesOnly()), jobs=jobs, clock=clock
    )
    alerts = _alerts(config, peers, jobs, drain)
    anomalies = _anomalies(config, pool, peers, jobs, drain)
    server = standard_server(
        config,
        SERVICE,
        pb.DESCRIPTOR,
        standings=identity.standings,
        health=health,
        drain=drain,
    )
    publisher = Publisher(records, clock, drain, metrics.WATCHERS)
    trial = Trial(subjects=subjects, prompts=prompts, writer=writer, work=work, clock=clock)
    parts = Parts(
        jobs=jobs,
        records=records,
        context=context,
        feedback=Feedback(pool),
        prompts=prompts,
        trial=trial,
        publisher=publisher,
        clock=clock,
    )
    pb_grpc.add_ExplainerServiceServicer_to_server(ExplainerServicer(parts), server.grpc)
    return Explainer(
        server=server,
        workers={
            **identity.workers,
            "jobs": jobs.keep,
            "alerts": alerts.run,
            "anomalies": anomalies.run,
            "revisions": revisions.run,
            "publisher": publisher.run,
            "retention": _retention(config, pool, clock).run,
        },
        drain=drain,
        pool=pool,
        jobs=jobs,
        alerts=alerts,
        anomalies=anomalies,
        revisions=revisions,
    )


def _traces(config: Config, peers: Peers, clock: Clock) -> tuple[Source, ...]:
    """The source of traces, when there is a topology to ask."""
    if peers.topology is None:
        return ()
    client = TopologyClient(peers.topology)
    url = config.trace_url
    return (ComparedTraces(topology=client, reach=config.reach, clock=clock, trace_url=url),)


def _exemplars(config: Config, reader: Reader) -> Source:
    return OwnExemplars(ingest=reader.ingest, reach=reader.reach, trace_url=config.trace_url)


def _sources(
    reader: Reader, traced: tuple[Source, ...], context: Context, incidents: Incidents
) -> Sources:
    """Every source of evidence."""
    most = reader.reach.nearby_max
    return Sources(
        subject=SubjectSeries(reader=reader),
        nearby=(
            Nearby(reader.anomalies, at_most=most, name="anomalies nearby"),
            Nearby(reader.alerts, at_most=most, name="alerts nearby"),
        ),
        moved=MovedSeries(reader=reader),
        reported=(
            NearbyChanges(context=context, reach=reader.reach),
            ReportedCalls(context=context),
            *traced,
            PastIncidents(incidents=incidents),
        ),
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
        RetentionStore(pool),
        explanations_days=config.retention_days,
        frames_days=config.frame_retention_days,
        clock=clock,
    )
