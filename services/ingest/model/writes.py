"""What a sender hands in, and what it is told about each row."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from mesh.errors import InvalidInput
from services.ingest.model.labels import LabelsRefused, SeriesKey
from services.ingest.model.samples import Float64s, Int64s, UInt32s

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


class BatchRefused(InvalidInput):
    """A batch that cannot be used at all, with its number of rows."""

    def __init__(self, cause: SampleReason, message: str, *, rows: int = 0) -> None:
        """The reason on the wire is the name of `cause`."""
        super().__init__(message, reason=cause.value)
        self.cause = cause
        self.rows = rows
