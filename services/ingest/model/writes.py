"""What a sender hands in, and what it is told about each row."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mesh.errors import InvalidInput
from services.ingest.model.labels import LabelsRefused, SeriesKey
from services.ingest.model.samples import Float64s, Int64s, UInt32s

_SERIES_BYTES: Final = 512
_ACK_BYTES: Final = 512
_REFUSAL_BYTES: Final = 256

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
    INVALID_HISTOGRAM = "INVALID_HISTOGRAM"
    INVALID_POINT = "INVALID_POINT"
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
class IncomingBatch:
    """A batch as it was sent: rows of equal-length columns, series not looked up yet.

    Attributes:
        refs: The sender's number of each row; rows of the plain form come after these.
        definitions: Label sets of the plain form.
        counts: How many rows each of them has.
        is_delta: Of each row, whether it counts from the one before of its series; None when none
            does.
        is_own: Of each row, whether it is one that the sender did not send; None when all are sent.
        rest_sequences: When `sequence` is taken, the rows that were refused under it are written
            under the first of these that is free.
    """

    sequence: int
    refs: UInt32s
    definitions: Sequence[Definition]
    counts: Int64s
    timestamps_ms: Int64s
    values: Float64s
    is_delta: NDArray[np.bool_] | None = None
    is_own: NDArray[np.bool_] | None = None
    rest_sequences: Sequence[int] = ()
    traceparent: str = ""

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory until it is committed."""
        columns = self.refs.nbytes + self.timestamps_ms.nbytes + self.values.nbytes
        return 2 * columns + _SERIES_BYTES * len(self.definitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """What became of a batch.

    Attributes:
        refused_rows: All refused rows, ascending; of a duplicate those that no copy has stored.
        refusals: Of the first of them.
    """

    sequence: int
    accepted: int = 0
    duplicate: bool = False
    rejected: int = 0
    refused_rows: Int64s = field(default_factory=lambda: np.empty(0, np.int64))
    refusals: Sequence[Refusal] = ()

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory until its sender reads it."""
        return _ACK_BYTES + _REFUSAL_BYTES * len(self.refusals)


class BatchRefused(InvalidInput):
    """A batch that cannot be used at all, with its number of rows."""

    def __init__(self, cause: SampleReason, message: str, *, rows: int = 0) -> None:
        """The reason on the wire is the name of `cause`."""
        super().__init__(message, reason=cause.value)
        self.cause = cause
        self.rows = rows
