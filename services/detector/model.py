"""What the detector talks about: samples, series, anomalies, checkpoints, models."""

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from services.detector.detectors.engine import Forest

Labels = Mapping[str, str]


class Kind(IntEnum):
    """What is abnormal; numbers as in the contract and in the store."""

    VALUE = 1
    ABSENCE = 2
    THRESHOLD = 3


class Severity(IntEnum):
    """How urgent; greater is worse. Numbers as in the contract and in the store."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @classmethod
    def of_score(cls, alert_score: float) -> "Severity":
        """Critical from 0.95, warning from 0.8, info below."""
        if alert_score >= 0.95:
            return cls.CRITICAL
        return cls.WARNING if alert_score >= 0.8 else cls.INFO


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Columns of equal length in log order: int64 series ids, int64 ms, float64 values."""

    series_ids: npt.NDArray[np.int64]
    timestamps_ms: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.series_ids)

    @staticmethod
    def concatenate(parts: "Sequence[Samples]") -> "Samples":
        """One after the other, at least one."""
        if len(parts) == 1:
            return parts[0]
        return Samples(
            series_ids=np.concatenate([part.series_ids for part in parts]),
            timestamps_ms=np.concatenate([part.timestamps_ms for part in parts]),
            values=np.concatenate([part.values for part in parts]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Samples of one shard as ingest handed them over.

    Attributes:
        cursor: Place in the log; resume after it.
        size_bytes: What it costs of the credit in bytes.
        traceparents: Of the batches inside.
    """

    shard: int
    epoch: int
    cursor: int
    samples: Samples
    size_bytes: int
    traceparents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What a feature was, and its signed share of the score; absolute shares add up to 1."""

    feature: str
    value: float
    share: float


def ranked(parts: Iterable[Contribution]) -> tuple[Contribution, ...]:
    """The largest part of the score first, by name where parts are equal."""
    return tuple(sorted(parts, key=lambda part: (-abs(part.share), part.feature)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An anomaly before it is committed."""

    anomaly_id: str
    series_id: int
    labels: Labels
    kind: Kind
    severity: Severity
    event_ms: int
    value: float
    raw_score: float
    alert_score: float
    expected_low: float
    expected_high: float
    contributions: tuple[Contribution, ...]
    model_version: int
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """A committed anomaly; `cursor` is its place in the log of anomalies."""

    finding: Finding
    cursor: int
    commit_time: datetime


def anomaly_id(series_id: int, event_ms: int, kind: Kind, source: str = "") -> str:
    """The same input gives the same 32 hexadecimal digits, on every machine.

    `source` tells apart what announces anomalies of the same kind: the id of a rule.
    """
    identity = struct.pack("<qqB", series_id, event_ms, kind) + source.encode()
    return hashlib.blake2b(identity, digest_size=16, person=b"sensus-anomaly").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSeries:
    """A series of a shard; `state` is None until its first sample was taken."""

    series_id: int
    labels: Labels
    state: bytes | None
    warm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """An open episode of a series that no anomaly score keeps.

    Attributes:
        source: What opened it: a rule's id.
        since_warning_ms, since_critical_ms: Since when it has been beyond; None when it is not.
        said: 0 before anything was announced, 1 after a warning, 2 after a critical one.
    """

    source: str
    series_id: int
    since_warning_ms: int | None
    since_critical_ms: int | None
    said: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """Everything a shard needs to go on after `cursor`; series in the order of their rows."""

    shard: int
    epoch: int
    cursor: int = 0
    processed_samples: int = 0
    collected_samples: int = 0
    series: Sequence[StoredSeries] = ()
    episodes: Sequence[Episode] = ()
    training_rows: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSeries:
    """A series that is not in the checkpoint yet."""

    row_number: int
    series_id: int
    labels: Labels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changes:
    """What a shard did since its last checkpoint; totals are of the whole shard.

    Attributes:
        row_numbers, states, warm: One entry for each series whose state changed.
        episodes: Open ones that are new or changed.
        ended_episodes: Source and series of those that are not open any more.
        training_rows: Replaces what is stored; None to leave that as it is.
    """

    shard: int
    epoch: int
    from_cursor: int
    to_cursor: int
    processed_samples: int
    collected_samples: int
    series_count: int
    warm_series_count: int
    new_series: Sequence[NewSeries]
    row_numbers: Sequence[int]
    states: Sequence[bytes]
    warm: Sequence[bool]
    findings: Sequence[Finding]
    episodes: Sequence[Episode] = ()
    ended_episodes: Sequence[tuple[str, int]] = ()
    training_rows: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ActiveModel:
    """A forest that scores now and the version it is known by.

    Attributes:
        loud: Strangeness of one training row in a thousand.
    """

    version: int
    forest: Forest
    loud: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedModel:
    """A forest that is ready to be stored, and what it was made from."""

    artifact: bytes
    training_samples: int
    training_start: datetime
    training_end: datetime
    parameters: Mapping[str, int]
    trigger: str = "warm-up"
    score_histogram: Sequence[int] = ()
    loud: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """How far the collection for the first model is, over all shards."""

    collected_samples: int
    start_time: datetime | None
    end_time: datetime | None
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlace:
    """Where a shard stands."""

    shard: int
    holder: str
    cursor: int
    checkpoint_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The whole installation as last checkpointed; model version 0 means none is active."""

    model_version: int
    model_train_time: datetime | None
    collected_samples: int
    processed_samples: int
    series_count: int
    warm_series_count: int
    shards: Sequence[ShardPlace]


class ShardLost(Exception):  # noqa: N818 - it says what happened
    """Another holder has the shard: nothing was written, what is in memory is worth nothing."""
