"""The service as one object: what depends on what, and what runs beside the server."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh import migrations, postgres
from mesh.auth import TokenVerifier
from mesh.clock import Clock
from mesh.drain import Drain
from mesh.health import Health
from mesh.interceptors import server_interceptors
from mesh.serving import Server, Worker
from mesh.streams import Streams, open_redis
from mesh.tls import server_credentials
from services.ingest.alerts.arrival_bell import ArrivalBell
from services.ingest.alerts.episodes import Episodes
from services.ingest.config import Config
from services.ingest.publisher import Publisher
from services.ingest.query.samples import Querying
from services.ingest.servicer import ALWAYS_TRACED, FULL_NAME, Parts, access, register
from services.ingest.store.alerts import AlertStore
from services.ingest.store.chunks import ChunkStore
from services.ingest.store.deliveries import DeliveryStore
from services.ingest.store.expiry import ExpiryStore
from services.ingest.store.installation import Installation
from services.ingest.store.leases import LeaseStore
from services.ingest.store.log import Log
from services.ingest.store.log_reader import LogReader
from services.ingest.store.newest_heads import NewestHeads
from services.ingest.store.partitions import PartitionStore
from services.ingest.store.samples import SampleStore
from services.ingest.store.series import SeriesStore
from services.ingest.store.series_cache import SeriesCache
from services.ingest.subscribe.alert_session import AlertParts
from services.ingest.subscribe.sample_session import SampleParts
from services.ingest.subscribe.subscriptions import Subscriptions
from services.ingest.upkeep.compactor import Compactor
from services.ingest.upkeep.expiry import Expiry
from services.ingest.upkeep.relay import Relay
from services.ingest.upkeep.retention import Retention
from services.ingest.write.committer import Committer
from services.ingest.write.intake import Intake
from services.ingest.write.stream import WriteStreams

if TYPE_CHECKING:
    from mesh.postgres import Pool

SERVICE = "ingest"
_DRAIN_SHARE = 0.5
"""Part of the shutdown grace that streams may use before they are ended with a good status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """A service that is ready to run; the single workers are for tests."""

    server: Server
    workers: Mapping[str, Worker]
    relay: Relay
    compactor: Compactor
    retention: Retention
    expiry: Expiry
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
        installation = await Installation(pool).prepare(config.shard_count)
        streams = Streams(redis, f"sensus:{installation}:")
        yield await _assemble(_core(config, clock, pool, streams))


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
    reader: LogReader
    publisher: Publisher
    committer: Committer

    @property
    def drain_grace_s(self) -> float:
        """How long a stream may go on after the word to drain."""
        return self.config.shutdown_grace_s * _DRAIN_SHARE


def _core(config: Config, clock: Clock, pool: "Pool", streams: Streams) -> _Core:
    series_cache = SeriesCache(SeriesStore(pool))
    log = Log(pool, max_series=config.max_series, timeout_s=config.commit_timeout_s)
    stream_bytes = config.streams_bytes // config.shard_count
    publisher = Publisher(streams, maxlen=config.stream_entries, stream_bytes=stream_bytes)
    return _Core(
        config=config,
        clock=clock,
        pool=pool,
        streams=streams,
        drain=Drain(),
        heads=NewestHeads(Installation(pool), clock),
        series_cache=series_cache,
        log=log,
        reader=LogReader(pool),
        publisher=publisher,
        committer=Committer(log, series_cache, publisher, clock),
    )


async def _assemble(core: _Core) -> Ingest:
    config, clock, pool = core.config, core.clock, core.pool
    health = Health([FULL_NAME])
    await health.add_check("database", lambda: postgres.ping(pool))
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
    server = _server(config, health, core.drain)
    register(_parts(core), server.grpc)
    return Ingest(
        server=server,
        workers={
            "committer": core.committer.run,
            "publisher": core.publisher.run,
            "relay": relay.run,
            "compactor": compactor.run,
            "retention": retention.run,
            "expiry": expiry.run,
        },
        relay=relay,
        compactor=compactor,
        retention=retention,
        expiry=expiry,
        heads=core.heads,
        namespace=core.streams.namespace,
    )


def _parts(core: _Core) -> Parts:
    clock, pool = core.clock, core.pool
    bell = ArrivalBell()
    deliveries = DeliveryStore(pool, absent_after_s=core.config.lease_ttl_s)
    alerts = AlertStore(pool, timeout_s=core.config.commit_timeout_s)
    intake = Intake(core.committer, core.config.limits(), clock)
    return Parts(
        intake=intake,
        write_streams=WriteStreams(intake, core.log, clock, core.drain, grace_s=core.drain_grace_s),
        episodes=Episodes(alerts, clock, bell),
        querying=Querying(SeriesStore(pool), SampleStore(pool)),
        subscriptions=_subscriptions(core, deliveries, bell),
        series=SeriesStore(pool),
        alerts=alerts,
        deliveries=deliveries,
        clock=clock,
    )


def _subscriptions(core: _Core, deliveries: DeliveryStore, bell: ArrivalBell) -> Subscriptions:
    leases = LeaseStore(core.pool, ttl_s=core.config.lease_ttl_s)
    return Subscriptions(
        samples=SampleParts(
            leases=leases,
            log=core.reader,
            streams=core.streams,
            heads=core.heads,
            series_cache=core.series_cache,
            clock=core.clock,
            drain=core.drain,
            drain_grace_s=core.drain_grace_s,
        ),
        alerts=AlertParts(
            deliveries=deliveries,
            leases=leases,
            bell=bell,
            clock=core.clock,
            drain=core.drain,
            drain_grace_s=core.drain_grace_s,
        ),
        deliveries=deliveries,
    )


def _server(config: Config, health: Health, drain: Drain) -> Server:
    return Server(
        service=SERVICE,
        host=config.listen_host,
        port=config.grpc_port,
        interceptors=server_interceptors(
            verifier=TokenVerifier.from_file(config.auth_jwks_file),
            policies=access(),
            always_sampled=ALWAYS_TRACED,
        ),
        health=health,
        drain=drain,
        credentials=server_credentials(config),
        max_message_bytes=config.limits().max_message_bytes,
    )
