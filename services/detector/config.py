"""Settings of the detector: `SENSUS_DETECTOR_*` before `SENSUS_*`."""

import os
import socket
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from mesh import ports
from mesh.config import CommonConfig, ConfigError, Port
from mesh.selector import SelectorError, parse
from services.detector.detectors.calendar import Calendar
from services.detector.detectors.engine import Settings
from services.detector.model.budget import Budget, Group
from services.detector.training.schedule import Schedule

_GroupNumbers = Annotated[
    dict[Annotated[str, Meta(min_length=1)], Annotated[float, Meta(gt=0, lt=1e6)]],
    Meta(max_length=20),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(CommonConfig):
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
    time_zone: Annotated[
        str, Meta(description="IANA name of the zone by which days and weeks begin")
    ] = "UTC"
    holidays: Annotated[
        str,
        Meta(
            description="ISO 3166 code of the place whose public holidays count as Sundays, like "
            "DE or DE-BY; empty for none"
        ),
    ] = ""
    warnings_per_week: Annotated[
        float,
        Meta(ge=0, lt=1e6, description="Warnings about values a week in all; 0 for any number"),
    ] = 20.0
    group_warnings: Annotated[
        str,
        Meta(
            description="Warnings about values a week of groups of series: a JSON object of "
            "selectors and numbers, at most 20"
        ),
    ] = "{}"
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
            warm_up=self.series_warmup_samples,
            alerts_per_week=self.alerts_per_week or None,
            time_zone=self.time_zone,
            holidays=self.holidays,
        )

    @property
    def budget(self) -> Budget:
        """What the installation may warn of.

        Raises:
            ConfigError: Naming the variable.
        """
        return Budget(per_week=self.warnings_per_week, groups=_groups(self.group_warnings))

    def __post_init__(self) -> None:
        """Refuses a time zone or place that is not known here, and groups that cannot be read.

        Raises:
            ConfigError: Naming the variable.
        """
        for name, calendar in (
            ("TIME_ZONE", (self.time_zone,)),
            ("HOLIDAYS", ("UTC", self.holidays)),
        ):
            try:
                Calendar(*calendar)
            except ValueError as error:
                raise ConfigError(f"SENSUS_DETECTOR_{name}: {error}") from error
        _groups(self.group_warnings)


def _groups(text: str) -> tuple[Group, ...]:
    try:
        numbers = msgspec.json.decode(text, type=_GroupNumbers)
        return tuple(
            Group(text=selector, selector=parse(selector), per_week=number)
            for selector, number in numbers.items()
        )
    except (msgspec.DecodeError, SelectorError) as error:
        message = f'{error}; write for example {{"{{env=\\"dev\\"}}": 2}}'
        raise ConfigError(f"SENSUS_DETECTOR_GROUP_WARNINGS: {message}") from error
