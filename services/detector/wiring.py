"""The service as one object: what depends on what, and what runs beside the server."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import numpy as np

from mesh import migrations, postgres
from mesh.auth import TokenMinter, TokenVerifier, policies
from mesh.clients import open_channel
from mesh.clock import Clock
from mesh.drain import Drain
from mesh.health import Health
from mesh.interceptors import server_interceptors
from mesh.serving import Server, Worker
from mesh.tls import channel_credentials, server_credentials
from sensus.detector.v1 import detector_service_pb2 as pb
from sensus.detector.v1 import detector_service_pb2_grpc as pb_grpc
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from sensus.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from services.detector.clients.ingest import IngestClient
from services.detector.config import Config
from services.detector.consumer import Consumer
from services.detector.detectors import threshold
from services.detector.detectors.engine import FEATURES, Engine, Forest, Settings
from services.detector.feeds.feed import Following
from services.detector.feeds.forests import ForestFeed
from services.detector.feeds.rulebook import RuleFeed
from services.detector.feeds.strictness import StrictnessFeed
from services.detector.lifecycle.evaluator import Evaluator
from services.detector.lifecycle.keeper import Keeper
from services.detector.lifecycle.live import LiveFigures
from services.detector.lifecycle.trainer import Needs, Trainer
from services.detector.publisher import Publisher
from services.detector.servicer import DetectorServicer
from services.detector.shards.credit import Amount
from services.detector.shards.shard import Terms
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
from services.detector.upkeep.retention import Retention

if TYPE_CHECKING:
    import numpy.typing as npt

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
    strictness: StrictnessFeed
    checkpoints: CheckpointStore
    history: IngestClient


@asynccontextmanager
async def assemble(config: Config, clock: Clock) -> AsyncIterator[Detector]:
    """Opens what the service needs and puts it together; the engine is compiled when it yields.

    Raises:
        MigrationError: The schema is behind.
    """
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            postgres.open_pool(config.postgres_dsn, application_name=SERVICE)
        )
        await migrations.check(pool, SERVICE)
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
        stack.callback(threads.shutdown, cancel_futures=True)
        await asyncio.get_running_loop().run_in_executor(threads, _compile, config.engine)
        yield await _assemble(config, clock, pool, channel, threads)


async def _assemble(
    config: Config,
    clock: Clock,
    pool: "Pool",
    channel: grpc.aio.Channel,
    threads: ThreadPoolExecutor,
) -> Detector:
    drain = Drain()
    health = Health([_FULL_NAME])
    await health.add_check("database", lambda: postgres.ping(pool))
    checkpoints, forests = CheckpointStore(pool), ForestFeed(ModelStore(pool))
    models, versions, trainings = ModelStore(pool), VersionStore(pool), TrainingStore(pool)
    ingest: ingest_grpc.IngestServiceAsyncStub = ingest_grpc.IngestServiceStub(channel)
    live, history = LiveFigures(versions, clock), IngestClient(ingest, clock)
    evaluator = Evaluator(models, versions, history, clock)
    needs = Needs(samples=config.warmup_samples, wait_s=config.warmup_s)
    strictness = StrictnessFeed(FeedbackStore(pool))
    rules = RuleFeed(RuleStore(pool))
    feeds = Following([forests, rules, strictness], clock)
    keeper = Keeper(
        trainer=Trainer(models, needs, clock),
        evaluator=evaluator,
        models=models,
        versions=versions,
        trainings=trainings,
        schedule=config.schedule,
        clock=clock,
    )
    publisher = Publisher(AnomalyStore(pool), clock, drain)
    consumer = Consumer(
        ingest,
        consumer_id=config.consumer,
        limit=Amount(samples=config.in_flight_samples, size_bytes=config.in_flight_bytes),
        terms=Terms(
            store=checkpoints,
            pool=threads,
            model=forests.model,
            shadow=forests.shadow,
            seen=live.add,
            rules=rules.rules,
            strictness=strictness.by_series,
            clock=clock,
            batch_samples=config.batch_samples,
            checkpoint_interval_s=config.checkpoint_interval_s,
            training_rows_interval_s=config.training_rows_interval_s,
        ),
        settings=config.engine,
        feeds=feeds,
        drain=drain,
    )
    server = _server(config, health, drain)
    servicer = DetectorServicer(
        anomalies=AnomalyStore(pool),
        status=StatusStore(pool),
        feedback=FeedbackStore(pool),
        rules=RuleStore(pool),
        versions=versions,
        trainings=trainings,
        evaluator=evaluator,
        drain=drain,
        publisher=publisher,
        clock=clock,
        threads=threads,
        warmup_samples=config.warmup_samples,
        series_warmup_samples=config.series_warmup_samples,
    )
    pb_grpc.add_DetectorServiceServicer_to_server(servicer, server.grpc)
    return Detector(
        server=server,
        workers={
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
        live=live,
        strictness=strictness,
        checkpoints=checkpoints,
        history=history,
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


def _compile(settings: Settings) -> None:
    """Runs every kernel of the engine once, with a forest of one empty tree."""
    forest = Forest(
        names=FEATURES,
        feature=np.zeros((1, 1), dtype=np.uint8),
        threshold=np.zeros((1, 1), dtype=np.float32),
        length=np.ones((1, 3)),
        normal=1.0,
    )
    engine = Engine(forest=forest, settings=settings)
    rows = np.full(settings.warm_up + 2, engine.add_series(1), dtype=np.int32)
    ticks = np.arange(len(rows), dtype=np.int64)
    engine.process(rows, ticks, ticks.astype(np.float64))
    engine.contributions(np.zeros((1, len(FEATURES)), dtype=np.float32))
    _compile_thresholds(rows, ticks)


def _compile_thresholds(rows: "npt.NDArray[np.int32]", ticks: "npt.NDArray[np.int64]") -> None:
    values, fresh = ticks.astype(np.float64), np.zeros(len(ticks), dtype=np.bool_)
    threshold.in_order(rows, ticks, values, ticks[:1] - 1, fresh)
    hits = np.zeros(len(ticks), dtype=np.int8)
    terms = threshold.Terms(1.0, 2.0, 0.0, 0)
    threshold.step(threshold.empty(1), rows, ticks, values, fresh, ~fresh, terms, hits)
