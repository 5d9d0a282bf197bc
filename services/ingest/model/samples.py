"""Series and their samples, in the log and in answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.labels import Labels

Int64s = NDArray[np.int64]
Float64s = NDArray[np.float64]
Int32s = NDArray[np.int32]
UInt32s = NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A stored series."""

    series_id: int
    shard: int
    labels: Labels


class Stretch(Protocol):
    """Consecutive rows of one shard in log order, from one or more entries of a log."""

    @property
    def shard(self) -> int:
        """The shard."""

    @property
    def previous(self) -> int:
        """Position before the first row; who stands there has missed nothing."""

    @property
    def offset(self) -> int:
        """Position of the last row."""

    @property
    def total(self) -> int:
        """Rows of the shard up to and with this stretch, since the beginning."""

    @property
    def commit_time_ms(self) -> int:
        """When the last row was committed."""

    @property
    def traceparents(self) -> tuple[str, ...]:
        """Of the requests inside."""

    @property
    def rows(self) -> int:
        """How many there are."""

    @property
    def size_bytes(self) -> int:
        """About how much memory they take on their way."""


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

    @property
    def size_bytes(self) -> int:
        """Bytes of the columns."""
        return 3 * len(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """How far the log has come. Sequences are indexed by shard."""

    last_offset: int
    offsets: Sequence[int]
    totals: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSamples:
    """Samples of one series, ascending in time, each time once.

    Attributes:
        minimums: Where samples were joined, the least of each step, and `values` their means.
        maximums: The greatest.
    """

    series: Series
    timestamps_ms: Int64s
    values: Float64s
    minimums: Float64s | None = None
    maximums: Float64s | None = None
