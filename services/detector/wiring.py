"""The service as one object: what depends on what, and what runs beside the server."""

from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

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
from mesh.subscription import Amount, Subscription
from mesh.tls import channel_credentials
from sensus.detector.v1 import detector_service_pb2 as pb
from sensus.detector.v1 import detector_service_pb2_grpc as pb_grpc
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from sensus.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from services.detector import metrics
from services.detector.clients.ingest import IngestClient
from services.detector.clients.metadata import MetadataClient
from services.detector.config import Config
from services.detector.consumer import Consumer, DetectorSubscriber
from services.detector.detectors.compilation import compile_kernels
from services.detector.feeds.feed import FeedPoller
from services.detector.feeds.forests import ForestFeed
from services.detector.feeds.metric_types import MetricTypeFeed
from services.detector.feeds.rulebook import RuleFeed
from services.detector.feeds.strictness import StrictnessFeed
from services.detector.servicer import DetectorServicer
from services.detector.shards.shard import ShardContext
from services.detector.store import (
    AnomalyStore,
    CheckpointStore,
    FeedbackStore,
    ModelStore,
    RetentionStore,
    RuleStore,
    StatusStore,
    TrainingStore,
    VersionStore,
)
from services.detector.training.evaluate import Evaluator
from services.detector.training.live import LiveFigures
from services.detector.training.schedule import Keeper
from services.detector.training.train import FirstModelNeeds, Trainer
from services.detector.upkeep.retention import Retention

if TYPE_CHECKING:
    from mesh.postgres import Pool

SERVICE = "detector"
_FULL_NAME = pb.DESCRIPTOR.services_by_name["DetectorService"].full_name
_INGEST = ingest_pb.DESCRIPTOR.services_by_name["IngestService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A service that is ready to run; all but `server` and `workers` is for tests."""

    server: Server
    workers: Mapping[str, Worker]
    drain: Drain
    forests: ForestFeed
    rules: RuleFeed
    live: LiveFigures
    types: MetricTypeFeed
    metadata: MetadataClient
    strictness: StrictnessFeed
    checkpoints: CheckpointStore
    history: IngestClient


@asynccontextmanager
async def assemble(config: Config, clock: Clock) -> AsyncIterator[Detector]:
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
        channel = await stack.enter_async_context(
            open_channel(
                config.ingest_target,
                service=_INGEST,
                tokens=TokenMinter.from_file(config.auth_key_file, SERVICE).service_token,
                caller=SERVICE,
                credentials=channel_credentials(config),
            )
        )
        threads = ThreadPoolExecutor(config.scoring_threads, thread_name_prefix="engine")
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        yield await _assemble(config, clock, pool, channel, identity, threads)


async def _assemble(
    config: Config,
    clock: Clock,
    pool: "Pool",
    channel: grpc.aio.Channel,
    identity: Identity,
    threads: ThreadPoolExecutor,
) -> Detector:
    drain = Drain()
    health = Health([_FULL_NAME])
    await health.add_check("database", lambda: postgres.ping(pool))
    await identity.add_check(health)
    checkpoints = CheckpointStore(pool, budget=config.budget)
    forests = ForestFeed(ModelStore(pool))
    models, versions, trainings = ModelStore(pool), VersionStore(pool), TrainingStore(pool)
    ingest: ingest_grpc.IngestServiceAsyncStub = ingest_grpc.IngestServiceStub(channel)
    live, history = LiveFigures(versions, clock), IngestClient(ingest, clock)
    evaluator = Evaluator(models, versions, history, clock)
    needs = FirstModelNeeds(samples=config.warmup_samples, wait_s=config.warmup_s)
    strictness = StrictnessFeed(FeedbackStore(pool))
    rules, metadata = RuleFeed(RuleStore(pool)), MetadataClient(ingest)
    types = MetricTypeFeed(metadata)
    feeds = FeedPoller([forests, rules, strictness, types], clock)
    keeper = Keeper(
        trainer=Trainer(models, needs, clock),
        evaluator=evaluator,
        models=models,
        versions=versions,
        trainings=trainings,
        schedule=config.schedule,
        clock=clock,
    )
    publisher = Publisher(AnomalyStore(pool), clock, drain, metrics.WATCHERS)
    terms = ShardContext(
        store=checkpoints,
        pool=threads,
        model=forests.model,
        shadow=forests.shadow,
        seen=live.add,
        rules=rules.rules,
        types=types.types,
        strictness=strictness.by_series,
        clock=clock,
        batch_samples=config.batch_samples,
        checkpoint_interval_s=config.checkpoint_interval_s,
        training_rows_interval_s=config.training_rows_interval_s,
    )
    subscription = Subscription(
        ingest,
        partial(DetectorSubscriber, terms, config.engine),
        clock,
        drain,
        consumer_id=config.consumer,
        limit=Amount(rows=config.in_flight_samples, size_bytes=config.in_flight_bytes),
        show_credit=metrics.CREDIT_USED.set,
    )
    consumer = Consumer(
        subscription,
        feeds=feeds,
        pool=threads,
        prepare=partial(compile_kernels, config.engine),
    )
    server = standard_server(
        config,
        SERVICE,
        pb.DESCRIPTOR,
        standings=identity.standings,
        health=health,
        drain=drain,
    )
    servicer = DetectorServicer(
        anomalies=AnomalyStore(pool),
        status=StatusStore(pool, config.budget),
        feedback=FeedbackStore(pool),
        rules=RuleStore(pool),
        versions=versions,
        trainings=trainings,
        evaluator=evaluator,
        history=history,
        model=forests.model,
        rules_in_force=rules.rules,
        types=types.types,
        drain=drain,
        publisher=publisher,
        clock=clock,
        threads=threads,
        warmup_samples=config.warmup_samples,
        settings=config.engine,
    )
    pb_grpc.add_DetectorServiceServicer_to_server(servicer, server.grpc)
    return Detector(
        server=server,
        workers={
            **identity.workers,
            "feeds": feeds.run,
            "trainer": keeper.run,
            "live": live.run,
            "retention": Retention(RetentionStore(pool), config.retention_days, clock).run,
            "publisher": publisher.run,
            "consumer": consumer.run,
        },
        drain=drain,
        forests=forests,
        rules=rules,
        types=types,
        metadata=metadata,
        live=live,
        strictness=strictness,
        checkpoints=checkpoints,
        history=history,
    )
