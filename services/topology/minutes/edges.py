"""Edges with their sums and sketches."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.topology.minutes.cells import SKETCHES, Cells, Int64s

EdgeKey = tuple[int, int, int, int, int]
"""Caller, operation, peer, kind, connection; see `Calls`."""

COUNTS: Final = (
    "spans",
    "weight",
    "errors",
    "origins",
    "late",
    "orphans",
    "roots",
    "failed",
    "duration_ns",
    "own_ns",
    "wait_ns",
)
"""Columns of numbers, all of them sums; `weight` in 1024ths of a request."""
_ROOM: Final = 64


class Edges:
    """A row for each edge."""

    def __init__(self) -> None:
        """Knows none."""
        self.rows: dict[EdgeKey, int] = {}
        self.counts: Int64s = np.zeros((_ROOM, len(COUNTS)), np.int64)
        self.cells = Cells()

    def __len__(self) -> int:
        """How many there are."""
        return len(self.rows)

    def places(self, keys: NDArray[np.uint64]) -> Int64s:
        """The row of each key, which is made where it is new."""
        if not len(keys):
            return np.empty(0, np.int64)
        order = np.lexsort(keys.T)
        ordered = keys[order]
        begins = np.ones(len(keys), np.bool_)
        begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
        numbers = np.cumsum(begins) - 1
        distinct: list[list[int]] = ordered[begins].tolist()
        found = [self.rows.setdefault(_edge(key), len(self.rows)) for key in distinct]
        self._grow()
        places = np.empty(len(keys), np.int64)
        places[order] = np.array(found, np.int64)[numbers]
        return places

    def named(self) -> Mapping[EdgeKey, tuple[Int64s, Int64s]]:
        """Sums and sketches, one row for each of `SKETCHES`, by edge in the order of the keys."""
        return {
            key: (self.counts[row], np.stack([self.cells.sketch(row, s) for s in range(SKETCHES)]))
            for key, row in sorted(self.rows.items())
        }

    def total(self, column: str) -> int:
        """The sum of a column of `COUNTS` over all edges."""
        return int(self.counts[:, COUNTS.index(column)].sum())

    def columns(self) -> tuple[NDArray[np.uint64], Int64s, Int64s, Int64s]:
        """Keys in ascending order, their sums, and the cells of these rows as `Cells.counted`."""
        ordered = sorted(self.rows.items())
        keys = np.array([key for key, _ in ordered], np.uint64).reshape(-1, 5)
        rows = np.array([row for _, row in ordered], np.int64)
        new = np.empty(len(rows), np.int64)
        new[rows] = np.arange(len(rows))
        return keys, self.counts[rows], *self.cells.moved(new)

    def add_columns(
        self, keys: NDArray[np.uint64], counts: Int64s, places: Int64s, cells: Int64s
    ) -> None:
        """Adds edges as `columns` gave them."""
        rows = self.places(keys)
        np.add.at(self.counts, rows, counts)
        self.cells.add_counted(places, cells, rows)

    def _grow(self) -> None:
        while len(self.rows) > len(self.counts):
            self.counts = np.concatenate([self.counts, np.zeros_like(self.counts)])


def _edge(key: list[int]) -> EdgeKey:
    caller, operation, peer, kind, connection = key
    return caller, operation, peer, kind, connection
