"""What ingest can be told. Every limit of the contract has its place here."""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from mesh import ports
from mesh.config import CommonConfig, Port, RedisUrl

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
class Config(CommonConfig):
    """Configuration of the ingest service."""

    redis_url: RedisUrl
    grpc_port: Annotated[Port, Meta(description="gRPC port; 0 takes a free one")] = ports.INGEST
    otlp_grpc_port: Annotated[
        Port, Meta(description="Second gRPC port, by custom 4317 for OTLP; 0 for none")
    ] = 0
    metrics_port: Annotated[Port, Meta(description="Port of /metrics; 0 serves none")] = (
        ports.METRICS_INGEST
    )
    shard_count: Annotated[
        int, Meta(ge=1, le=1024, description="Number of shards; fixed by the first start")
    ] = 16
    max_series: Annotated[
        int, Meta(ge=1, description="Most series of the installation; new ones are refused then")
    ] = 1_000_000
    max_caller_series: Annotated[
        int, Meta(ge=1, description="Most series that one caller may bring; others have the rest")
    ] = 500_000
    max_caller_samples_per_s: Annotated[
        int, Meta(ge=1, description="Samples a second that one caller may send to one process")
    ] = 200_000
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

    examples: Annotated[
        Literal["masked", "off"],
        Meta(description="Whether a few errors and exemplars are kept, masked; off for none"),
    ] = "masked"
    max_caller_events_per_s: Annotated[
        int, Meta(ge=1, description="Spans and records a second of one caller to one process")
    ] = 50_000
    events_retention_s: Annotated[
        float, Meta(ge=600, description="Spans and records wait so long for who counts them")
    ] = 1800.0
    event_streams_bytes: Annotated[
        int, Meta(ge=1_000_000, description="Memory of Redis for events; older entries go")
    ] = 128 * 1024 * 1024

    alert_retention_s: Annotated[
        float, Meta(ge=_DAY_S, description="Resolved alerts and dead letters are kept so long")
    ] = 90 * _DAY_S
    subscription_retention_s: Annotated[
        float, Meta(ge=_DAY_S, description="A subscription unused so long is gone; it starts anew")
    ] = 90 * _DAY_S

    alert_resolve_timeout_s: Annotated[
        float, Meta(ge=60, description="An alert that nobody repeats for so long is over")
    ] = 4 * 3600.0
    alert_replica_labels: Annotated[
        tuple[str, ...],
        Meta(description="Labels that tell apart only senders of the same alert; left out"),
    ] = ("prometheus_replica", "__replica__")
    alert_severity_labels: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="Labels that say how urgent an alert is, the first counts"),
    ] = ("severity", "priority", "level")
    alert_severities: Annotated[
        tuple[str, ...],
        Meta(description="More words for it, word=critical|warning|info; see docs/alertmanager.md"),
    ] = ()

    def limits(self) -> Limits:
        """The limits of one sender."""
        return Limits(retention_ms=round(self.chunk_retention_s * 1000))
