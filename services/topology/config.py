"""Settings of topology: `SENSUS_TOPOLOGY_*` before `SENSUS_*`."""

import os
import socket
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from mesh import ports
from mesh.config import CommonConfig, Port


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(CommonConfig):
    """Settings of one process."""

    grpc_port: Annotated[Port, Meta(description="gRPC port; 0 takes a free one")] = ports.TOPOLOGY
    metrics_port: Annotated[Port, Meta(description="Port of /metrics; 0 serves none")] = (
        ports.METRICS_TOPOLOGY
    )
    ingest_target: Annotated[str, Meta(description="ingest, host:port or dns:///name:port")] = (
        f"127.0.0.1:{ports.INGEST}"
    )
    explainer_target: Annotated[
        str, Meta(description="explainer, host:port or dns:///name:port")
    ] = f"127.0.0.1:{ports.EXPLAINER}"
    consumer_id: Annotated[
        str, Meta(description="Name at ingest, unique per replica; empty: host name and port")
    ] = ""
    in_flight_events: Annotated[
        int, Meta(ge=1000, description="Events taken from ingest before the oldest is committed")
    ] = 400_000
    in_flight_bytes: Annotated[
        int, Meta(ge=1 << 20, description="Bytes taken from ingest before the oldest is committed")
    ] = 64 << 20
    counting_threads: Annotated[int, Meta(ge=1, le=64, description="Shards counted at once")] = 2
    sums_bytes: Annotated[
        int,
        Meta(ge=1 << 20, description="Memory for what final minutes add up to; the rest is read"),
    ] = 32 << 20
    checkpoint_interval_s: Annotated[
        float, Meta(gt=0, le=60, description="Longest time between checkpoints of a busy shard")
    ] = 10.0
    settle_s: Annotated[
        int, Meta(ge=1, le=300, description="A trace settles so long after its last event came")
    ] = 10
    settle_longest_s: Annotated[
        int, Meta(ge=1, le=300, description="A trace settles so long after its first event came")
    ] = 60

    @property
    def consumer(self) -> str:
        """The name at ingest."""
        return self.consumer_id or f"{socket.gethostname()}:{self.grpc_port or os.getpid()}"
