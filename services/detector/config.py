"""What the detector is told by the environment, `SENSUS_DETECTOR_*` before `SENSUS_*`."""

import os
import socket
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from mesh import ports
from mesh.config import Common, Port
from services.detector.detectors.engine import Settings
from services.detector.lifecycle.keeper import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """Settings of one detector process."""

    grpc_port: Annotated[Port, Meta(description="gRPC port; 0 takes a free one")] = ports.DETECTOR
    metrics_port: Annotated[Port, Meta(description="Port of /metrics; 0 serves none")] = (
        ports.METRICS_DETECTOR
    )
    ingest_target: Annotated[str, Meta(description="ingest, host:port or dns:///name:port")] = (
        f"127.0.0.1:{ports.INGEST}"
    )
    consumer_id: Annotated[
        str, Meta(description="Name at ingest, unique per replica; empty: host name and port")
    ] = ""
    in_flight_samples: Annotated[
        int, Meta(ge=1000, description="Samples taken from ingest before the oldest is committed")
    ] = 200_000
    in_flight_bytes: Annotated[
        int, Meta(ge=1 << 20, description="Bytes taken from ingest before the oldest is committed")
    ] = 64 << 20
    batch_samples: Annotated[
        int, Meta(ge=1, description="Samples of a shard that are scored in one go, about")
    ] = 20_000
    scoring_threads: Annotated[int, Meta(ge=1, le=64, description="Shards scored at once")] = 2
    checkpoint_interval_s: Annotated[
        float, Meta(gt=0, le=60, description="Longest time between checkpoints of a busy shard")
    ] = 1.0
    warmup_samples: Annotated[
        int, Meta(ge=2, description="Scorable samples that the first model needs")
    ] = 2000
    warmup_s: Annotated[
        float, Meta(ge=0, description="Seconds to collect at least for the first model")
    ] = 45.0
    series_warmup_samples: Annotated[
        int, Meta(ge=2, description="Samples of a series that are learnt before one is scored")
    ] = 50
    training_time: Annotated[
        str,
        Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="Of the daily training, UTC"),
    ] = "02:00"
    evaluation_interval_s: Annotated[
        float, Meta(ge=60, description="Seconds between evaluations of the active model")
    ] = 21_600.0
    training_rows_interval_s: Annotated[
        float, Meta(ge=0, description="Seconds between two times that training rows are stored")
    ] = 300.0
    alerts_per_week: Annotated[
        float,
        Meta(
            ge=0,
            lt=1e6,
            description="False alarms accepted per series and week; 0 lets every episode speak",
        ),
    ] = 4.0
    retention_days: Annotated[
        int, Meta(ge=1, description="Whole days that anomalies and feedback are kept")
    ] = 90

    @property
    def consumer(self) -> str:
        """The name at ingest."""
        return self.consumer_id or f"{socket.gethostname()}:{self.grpc_port or os.getpid()}"

    @property
    def schedule(self) -> Schedule:
        """When models are made and measured."""
        hour, minute = self.training_time.split(":")
        return Schedule(
            hour=int(hour), minute=int(minute), evaluate_every_s=self.evaluation_interval_s
        )

    @property
    def engine(self) -> Settings:
        """The part that the engine needs."""
        return Settings(
            warm_up=self.series_warmup_samples, alerts_per_week=self.alerts_per_week or None
        )
