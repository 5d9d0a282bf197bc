"""The service as one object: what depends on what, and what runs beside the server."""

from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh import migrations, postgres
from mesh import publisher as log_publisher
from mesh.auth import TokenVerifier
from mesh.budget import ByteBudget
from mesh.clients.identity import Identity, open_identity
from mesh.clock import Clock
from mesh.drain import Drain
from mesh.health import Health
from mesh.interceptors import server_interceptors
from mesh.redis import Streams, open_redis
from mesh.serving import Server, Worker
from services.ingest import collector, metrics, roads
from services.ingest.alerts.alert_signal import AlertSignal
from services.ingest.alerts.committer import NoticeCommitter
from services.ingest.alerts.episodes import Episodes
from services.ingest.alerts.severity import SeverityWords
from services.ingest.config import Config
from services.ingest.event_wiring import EventParts, event_parts
from services.ingest.model.samples import Segment
from services.ingest.publisher import Publisher
from services.ingest.query.exemplars import ExemplarQuerying
from services.ingest.query.samples import Querying
from services.ingest.servicer import ALWAYS_TRACED, FULL_NAME, Parts, access, register
from services.ingest.store import log_reader
from services.ingest.store.alert_log import AlertLog, LoggedAlert
from services.ingest.store.alerts import AlertStore
from services.ingest.store.chunks import ChunkStore
from services.ingest.store.deliveries import DeliveryStore
from services.ingest.store.episodes import EpisodeStore
from services.ingest.store.exemplars import ExemplarStore
from services.ingest.store.expiry import ExpiryStore
from services.ingest.store.installation import Installation
from services.ingest.store.leases import LeaseStore
from services.ingest.store.log import Log
from services.ingest.store.log_reader import LogReader
from services.ingest.store.metadata import MetadataStore
from services.ingest.store.newest_heads import NewestHeads
from services.ingest.store.partitions import PartitionStore
from services.ingest.store.repeats import RepeatStore
from services.ingest.store.samples import SampleStore
from services.ingest.store.series import SeriesStore
from services.ingest.store.series_cache import SeriesCache
from services.ingest.store.stored_rows import StoredRows
from services.ingest.store.tail_index import TailIndex
from services.ingest.subscribe.alert_session import AlertParts
from services.ingest.subscribe.shaping import EventShaper, Shaper
from services.ingest.subscribe.shard_session import ShardParts
from services.ingest.subscribe.subscriptions import Subscriptions
from services.ingest.upkeep.compactor import Compactor
from services.ingest.upkeep.expiry import Expiry
from services.ingest.upkeep.relay import Relay
from services.ingest.upkeep.resolve_timeout import ResolveTimeout
from services.ingest.upkeep.retention import Retention
from services.ingest.upkeep.tail_follower import TailFollower
from services.ingest.write.bodies import BodyWriter
from services.ingest.write.committer import Committer
from services.ingest.write.compiled_loops import CompiledLoops
from services.ingest.write.exemplars import ExemplarWrites
from services.ingest.write.intake import Intake
from services.ingest.write.metadata_notes import MetadataNotes
from services.ingest.write.otlp import OtlpWrites
from services.ingest.write.remote_write import RemoteWrites
from services.ingest.write.sample_rates import SampleRates
from services.ingest.write.stream import WriteStreams

if TYPE_CHECKING:
    from mesh.postgres import Pool

SERVICE = "ingest"
_WRITERS_PATIENCE_S = 30.0
"""A writer waits so long for room before it is refused: longer than any commit takes."""
_DRAIN_SHARE = 0.5
"""Part of the shutdown grace that streams may use before they are ended with a good status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """A service that is ready to run; the single workers are for tests."""

    server: Server
    workers: Mapping[str, Worker]
    relay: Relay[Segment]
    compactor: Compactor
    retention: Retention
    expiry: Expiry
    unrepeated: ResolveTimeout
    events: EventParts
    heads: NewestHeads
    namespace: str


@asynccontextmanager
async def assemble(config: Config, clock: Clock) -> AsyncIterator[Ingest]:
    """Opens the stores and puts the service together.

    Raises:
        ConfigError: The database belongs to an installation with another number of shards.
        MigrationError: The schema is behind.
    """
    async with AsyncExitStack() as stack:
        size = config.postgres_pool_size
        pool = await stack.enter_async_context(
            postgres.open_pool(config.postgres_dsn, application_name="ingest", max_size=size)
        )
        redis = await stack.enter_async_context(open_redis(config.redis_url))
        await migrations.check(pool, SERVICE)
        identity = await stack.enter_async_context(open_identity(config, SERVICE, clock, pool))
        installation = await Installation(pool).prepare(config.shard_count)
        streams = Streams(redis, f"sensus:{installation}:")
        reader = ThreadPoolExecutor(1, thread_name_prefix="bodies")
        stack.callback(reader.shutdown, wait=False, cancel_futures=True)
        events = await event_parts(config, clock, pool, streams)
        yield await _assemble(_core(config, clock, pool, streams, reader), events, identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Core:
    """What more than one part needs."""

    config: Config
    clock: Clock
    pool: "Pool"
    streams: Streams
    drain: Drain
    heads: NewestHeads
    series_cache: SeriesCache
    log: Log
    reader: LogReader[Segment]
    tail: TailIndex
    publisher: Publisher[Segment]
    committer: Committer
    body_reader: Executor
    alert_signal: AlertSignal
    alert_log: log_publisher.Publisher[LoggedAlert]

    @property
    def drain_grace_s(self) -> float:
        """How long a stream may go on after the word to drain."""
        return self.config.shutdown_grace_s * _DRAIN_SHARE


def _core(
    config: Config, clock: Clock, pool: "Pool", streams: Streams, body_reader: Executor
) -> _Core:
    series_cache = SeriesCache(SeriesStore(pool))
    log = Log(
        pool,
        max_series=config.max_series,
        max_caller_series=config.max_caller_series,
        timeout_s=config.commit_timeout_s,
    )
    stream_bytes = config.streams_bytes // config.shard_count
    publisher = Publisher(
        streams, roads.SAMPLES, maxlen=config.stream_entries, stream_bytes=stream_bytes
    )
    drain = Drain()
    return _Core(
        config=config,
        clock=clock,
        pool=pool,
        streams=streams,
        drain=drain,
        heads=NewestHeads(Installation(pool), clock),
        series_cache=series_cache,
        log=log,
        reader=LogReader(pool, log_reader.SAMPLES),
        tail=TailIndex(pool),
        publisher=publisher,
        committer=Committer(log, series_cache, publisher, clock),
        body_reader=body_reader,
        alert_signal=AlertSignal(),
        alert_log=log_publisher.Publisher(AlertLog(pool), clock, drain, metrics.ALERT_WATCHES),
    )


async def _assemble(core: _Core, events: EventParts, identity: Identity) -> Ingest:
    config, clock, pool = core.config, core.clock, core.pool
    health = Health([FULL_NAME])
    await health.add_check("database", lambda: postgres.ping(pool))
    await health.add_side_check("storage", postgres.Storage(pool, clock))
    await identity.add_check(health)
    relay = Relay(
        core.heads,
        core.reader,
        core.streams,
        core.publisher,
        clock,
        stream_entries=config.stream_entries,
    )
    compactor = Compactor(
        ChunkStore(pool),
        clock,
        after_ms=round(config.compact_after_s * 1000),
        retention_ms=config.limits().retention_ms,
    )
    retention = Retention(PartitionStore(pool), clock, config)
    expiry = Expiry(ExpiryStore(pool), clock, config)
    timeout_s = config.alert_resolve_timeout_s
    unrepeated = ResolveTimeout(
        RepeatStore(pool), core.alert_signal, clock, resolve_timeout_s=timeout_s
    )
    server = _server(config, identity, health, core.drain)
    intake = _intake(core)
    notes = MetadataNotes(MetadataStore(pool))
    loops = CompiledLoops()
    bodies = BodyWriter(intake, notes, ByteBudget(), core.body_reader, loops)
    exemplars = _exemplars(core)
    register(_parts(core, events, intake, RemoteWrites(bodies, exemplars)), server.grpc)
    event_writes = events.writes(config, bodies, clock)
    collector.register(OtlpWrites(bodies, exemplars), event_writes, server.grpc)
    return Ingest(
        server=server,
        workers={
            **identity.workers,
            **events.workers,
            "committer": core.committer.run,
            "publisher": core.publisher.run,
            "alert_publisher": core.alert_log.run,
            "relay": relay.run,
            "compactor": compactor.run,
            "retention": retention.run,
            "expiry": expiry.run,
            "unrepeated": unrepeated.run,
            "tail_follower": TailFollower(core.tail, clock).run,
            "compiled_loops": loops.run,
        },
        relay=relay,
        compactor=compactor,
        retention=retention,
        expiry=expiry,
        unrepeated=unrepeated,
        events=events,
        heads=core.heads,
        namespace=core.streams.namespace,
    )


def _intake(core: _Core) -> Intake:
    config, clock = core.config, core.clock
    rates = SampleRates(clock, config.max_caller_samples_per_s)
    return Intake(core.committer, StoredRows(core.pool), config.limits(), rates, clock)


def _exemplars(core: _Core) -> ExemplarWrites:
    config = core.config
    return ExemplarWrites(
        ExemplarStore(core.pool),
        core.clock,
        takes=config.examples == "masked",
        future_ms=config.limits().future_ms,
    )


def _parts(core: _Core, events: EventParts, intake: Intake, remote_writes: RemoteWrites) -> Parts:
    clock, pool = core.clock, core.pool
    deliveries = DeliveryStore(pool, absent_after_s=core.config.lease_ttl_s)
    alerts = AlertStore(pool)
    episodes = EpisodeStore(pool, timeout_s=core.config.commit_timeout_s)
    return Parts(
        intake=intake,
        write_streams=WriteStreams(
            intake,
            core.log,
            clock,
            core.drain,
            grace_s=core.drain_grace_s,
            budget=ByteBudget(patience_s=_WRITERS_PATIENCE_S),
        ),
        remote_writes=remote_writes,
        episodes=Episodes(NoticeCommitter(episodes, clock), alerts, core.alert_signal),
        severity_words=SeverityWords(
            core.config.alert_severity_labels, core.config.alert_severities
        ),
        replica_labels=frozenset(core.config.alert_replica_labels),
        alert_log=core.alert_log,
        querying=Querying(SeriesStore(pool), SampleStore(pool, core.tail)),
        exemplars=ExemplarQuerying(SeriesStore(pool), ExemplarStore(pool)),
        subscriptions=_subscriptions(core, events, deliveries),
        series=SeriesStore(pool),
        metadata=MetadataStore(pool),
        alerts=alerts,
        deliveries=deliveries,
        clock=clock,
    )


def _subscriptions(core: _Core, events: EventParts, deliveries: DeliveryStore) -> Subscriptions:
    leases = LeaseStore(core.pool, ttl_s=core.config.lease_ttl_s)
    return Subscriptions(
        samples=ShardParts(
            leases=leases,
            log=core.reader,
            streams=core.streams,
            road=roads.SAMPLES,
            heads=core.heads,
            shapes=lambda opened: Shaper(core.series_cache, opened.selector),
            clock=core.clock,
            drain=core.drain,
            drain_grace_s=core.drain_grace_s,
        ),
        events=ShardParts(
            leases=leases,
            log=events.reader,
            streams=core.streams,
            road=roads.EVENTS,
            heads=events.heads,
            shapes=lambda _: EventShaper(),
            clock=core.clock,
            drain=core.drain,
            drain_grace_s=core.drain_grace_s,
        ),
        alerts=AlertParts(
            deliveries=deliveries,
            leases=leases,
            alert_signal=core.alert_signal,
            clock=core.clock,
            drain=core.drain,
            drain_grace_s=core.drain_grace_s,
        ),
        deliveries=deliveries,
    )


def _server(config: Config, identity: Identity, health: Health, drain: Drain) -> Server:
    return Server(
        service=SERVICE,
        host=config.listen_host,
        port=config.grpc_port,
        second_port=config.otlp_grpc_port,
        interceptors=server_interceptors(
            verifier=TokenVerifier.from_file(config.auth_jwks_file),
            policies={**access(), **collector.access()},
            standings=identity.standings,
            always_sampled=ALWAYS_TRACED,
        ),
        health=health,
        drain=drain,
        tls=config,
        max_message_bytes=config.limits().max_message_bytes,
    )
