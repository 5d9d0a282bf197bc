"""Putting samples of series in order: each time once, the first write stays. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.samples import Float64s, Int64s

Points = tuple[Int64s, Float64s]
"""Times and values of one series, of equal length."""

_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Columns:
    """Samples of several series, of equal length."""

    series_ids: Int64s
    timestamps_ms: Int64s
    values: Float64s

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self.series_ids)

    def __getitem__(self, rows: slice | NDArray[np.intp] | NDArray[np.bool_]) -> "Columns":
        """Some of them."""
        return Columns(self.series_ids[rows], self.timestamps_ms[rows], self.values[rows])

    @classmethod
    def joined(cls, parts: Sequence["Columns"]) -> "Columns":
        """One behind the other."""
        if not parts:
            return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))
        return cls(
            np.concatenate([part.series_ids for part in parts]),
            np.concatenate([part.timestamps_ms for part in parts]),
            np.concatenate([part.values for part in parts]),
        )

    def in_order(self) -> "Columns":
        """By series, then by time; of equal times of a series the first in the order of writing."""
        rows = np.lexsort((self.timestamps_ms, self.series_ids))
        ordered = self[rows]
        first = np.ones(len(rows), np.bool_)
        first[1:] = (np.diff(ordered.series_ids) != 0) | (np.diff(ordered.timestamps_ms) != 0)
        return ordered[first]

    def ends(self) -> Int64s:
        """Of columns in order, where the rows of each series end."""
        if not len(self):
            return np.empty(0, np.int64)
        return np.append(np.flatnonzero(np.diff(self.series_ids)) + 1, len(self))

    def by_hour(self) -> Iterator[tuple[int, "Columns"]]:
        """The samples of each hour since the Unix epoch, ascending; in the order of writing."""
        for hour, rows in grouped(self.timestamps_ms // _HOUR_MS):
            yield hour, self[rows]


def merged(times: Int64s, values: Float64s) -> Points:
    """Rows in order of writing become rows in order of time, each time once."""
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    first = np.ones(len(times), np.bool_)
    first[1:] = times[1:] != times[:-1]
    return times[first], values[first]


def grouped(ids: Int64s) -> list[tuple[int, NDArray[np.intp]]]:
    """The rows of each distinct id, in their order, by ascending id."""
    order = np.argsort(ids, kind="stable")
    cuts = np.flatnonzero(np.diff(ids[order])) + 1
    parts = np.split(order, cuts) if len(order) else []
    return [(int(ids[part[0]]), part) for part in parts]
