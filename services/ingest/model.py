"""What ingest talks about, free of wire and database."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from services.ingest.labels import Labels, LabelsRefused, SeriesKey

Int64s = NDArray[np.int64]
Float64s = NDArray[np.float64]
Int32s = NDArray[np.int32]
UInt32s = NDArray[np.uint32]

Definition = SeriesKey | LabelsRefused
"""A label set that was sent: usable, or why it is not."""


class SampleReason(Enum):
    """Why a sample was refused; the names are those of the contract."""

    UNKNOWN_SERIES = "UNKNOWN_SERIES"
    INVALID_LABELS = "INVALID_LABELS"
    TOO_FAR_IN_FUTURE = "TOO_FAR_IN_FUTURE"
    TOO_OLD = "TOO_OLD"
    SERIES_LIMIT = "SERIES_LIMIT"
    COLUMNS_UNEQUAL = "COLUMNS_UNEQUAL"
    BATCH_TOO_LARGE = "BATCH_TOO_LARGE"
    INVALID_SEQUENCE = "INVALID_SEQUENCE"
    BATCH_EMPTY = "BATCH_EMPTY"
    UNAVAILABLE = "UNAVAILABLE"

    @property
    def retryable(self) -> bool:
        """Whether the same sample may be accepted later."""
        return self in (SampleReason.TOO_FAR_IN_FUTURE, SampleReason.UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused row of a batch."""

    index: int
    reason: SampleReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A stored series."""

    series_id: int
    shard: int
    labels: Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A batch as it was sent: rows of equal-length columns, series not looked up yet.

    Attributes:
        refs: The sender's number of each row; rows of the plain form come after these.
        plain: Label sets of the plain form with the number of rows of each.
    """

    sequence: int
    refs: UInt32s
    plain: Sequence[tuple[Definition, int]]
    timestamps_ms: Int64s
    values: Float64s
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """What became of a batch."""

    sequence: int
    accepted: int = 0
    duplicate: bool = False
    rejected: int = 0
    refusals: Sequence[Refusal] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Consecutive rows of one shard in log order, from one or more batches.

    Attributes:
        previous: Position before the first row; who stands there has missed nothing.
        offset: Position of the last row.
        total: Samples of the shard up to and with this segment, since the beginning.
        series_ids: int64 little-endian; the other columns are alike.
    """

    shard: int
    previous: int
    offset: int
    total: int
    commit_time_ms: int
    series_ids: bytes
    timestamps_ms: bytes
    values: bytes
    traceparents: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Number of samples."""
        return len(self.values) // 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """How far the log has come. Sequences are indexed by shard."""

    last_offset: int
    offsets: Sequence[int]
    totals: Sequence[int]


class AlertState(Enum):
    """State of an episode, numbered as in the contract."""

    FIRING = 1
    RESOLVED = 2


class Severity(Enum):
    """Urgency, numbered as in the contract."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One episode of an alert. Times are milliseconds since the Unix epoch."""

    alert_id: str
    fingerprint: str
    labels: Labels
    annotations: Labels
    state: AlertState
    severity: Severity
    start_time_ms: int
    end_time_ms: int | None
    generator_url: str
    update_time_ms: int = 0
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """One stored change of an episode."""

    state: AlertState
    commit_time_ms: int
    end_time_ms: int | None


@dataclass(frozen=True, slots=True)
class AlertRefusal:
    """One refused alert of a request."""

    index: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertReceipt:
    """What became of the alerts of one request."""

    accepted: int
    duplicates: int
    refusals: Sequence[AlertRefusal]
    alert_ids: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A delivery that was given up."""

    delivery_id: int
    alert: Alert
    attempts: int
    reason: str
    bury_time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSamples:
    """Samples of one series, ascending in time, each time once."""

    series: Series
    timestamps_ms: Int64s
    values: Float64s
