"""What ingest can be told. Every limit of the contract has its place here."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from mesh import ports
from mesh.config import Common, Port, RedisUrl

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one sender may do; told to senders when their stream opens."""

    max_batch_samples: int = 100_000
    max_message_bytes: int = 16 * 1024 * 1024
    max_stream_series: int = 100_000
    initial_credit: int = 16
    future_ms: int = 300_000
    retention_ms: int = 30 * 86_400_000
    max_errors: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """Configuration of the ingest service."""

    redis_url: RedisUrl
    grpc_port: Annotated[Port, Meta(description="gRPC port; 0 takes a free one")] = ports.INGEST
    metrics_port: Annotated[Port, Meta(description="Port of /metrics; 0 serves none")] = (
        ports.METRICS_INGEST
    )
    shard_count: Annotated[
        int, Meta(ge=1, le=1024, description="Number of shards; fixed by the first start")
    ] = 16
    max_series: Annotated[
        int, Meta(ge=1, description="Most series of the installation; new ones are refused then")
    ] = 1_000_000
    postgres_pool_size: Annotated[
        int, Meta(ge=4, description="Most connections to PostgreSQL of one process")
    ] = 16
    commit_timeout_s: Annotated[
        float, Meta(gt=0, description="A commit that takes longer is UNAVAILABLE to its senders")
    ] = 5.0
    stream_entries: Annotated[
        int, Meta(ge=100, description="Entries that Redis keeps per shard; older come from the log")
    ] = 20_000
    streams_bytes: Annotated[
        int, Meta(ge=1_000_000, description="Memory of Redis for all shards; older entries go")
    ] = 256 * 1024 * 1024
    lease_ttl_s: Annotated[
        float, Meta(ge=0.5, description="A consumer unseen for so long loses its shards")
    ] = 10.0
    compact_after_s: Annotated[
        float, Meta(ge=0, description="Age at which batches move into hourly chunks")
    ] = 900.0
    log_retention_s: Annotated[
        float, Meta(ge=_DAY_S, description="The log is kept so long, in whole days")
    ] = 2 * _DAY_S
    log_retention_max_s: Annotated[
        float, Meta(ge=_DAY_S, description="Then it goes even if a subscription has not read it")
    ] = 7 * _DAY_S
    chunk_retention_s: Annotated[
        float, Meta(ge=_DAY_S, description="Samples are kept so long, in whole days")
    ] = 30 * _DAY_S

    alert_retention_s: Annotated[
        float, Meta(ge=_DAY_S, description="Resolved alerts and dead letters are kept so long")
    ] = 90 * _DAY_S
    subscription_retention_s: Annotated[
        float, Meta(ge=_DAY_S, description="A subscription unused so long is gone; it starts anew")
    ] = 90 * _DAY_S

    def limits(self) -> Limits:
        """The limits of one sender."""
        return Limits(retention_ms=round(self.chunk_retention_s * 1000))
