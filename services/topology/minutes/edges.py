"""Edges with their sums and sketches."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.topology.minutes.cells import SKETCHES, Cells, Int64s
from services.topology.model.names import OTHER_ID

EdgeKey = tuple[int, int, int, int, int]
"""Caller, operation, peer, kind, connection; see `Calls`."""
UInt64s = NDArray[np.uint64]

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

MOST_OF_OPERATION: Final = 50
"""Callers and addresses of an operation that are kept apart."""
MANY: Final = 5_000
"""From so many edges on, new ones of an operation that has one are not kept apart."""
MOST: Final = 20_000
"""From so many edges on, new ones are counted as one."""

_ROOM: Final = 16
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


class Edges:
    """A row for each edge, about 180 bytes."""

    def __init__(self) -> None:
        """Knows none."""
        self.counts: Int64s = np.zeros((_ROOM, len(COUNTS)), np.int64)
        self.cells = Cells()
        self._keys: UInt64s = np.zeros((_ROOM, 5), np.uint64)
        self._size = 0
        self._hashes: UInt64s = np.empty(0, np.uint64)
        self._rows: Int64s = np.empty(0, np.int64)

    def __len__(self) -> int:
        """How many there are."""
        return self._size

    @property
    def keys(self) -> UInt64s:
        """The key of each row."""
        return self._keys[: self._size]

    def items(self) -> Iterator[tuple[EdgeKey, int]]:
        """Each key with its row."""
        for row, (caller, operation, peer, kind, connection) in enumerate(self.keys.tolist()):
            yield (caller, operation, peer, kind, connection), row

    def places(self, keys: UInt64s) -> Int64s:
        """The row of each key, which is made where it is new; several share one beyond limits."""
        hashes = _hashed(keys)
        found = self._find(hashes)
        if (found < 0).any():
            self._add(keys[found < 0], hashes[found < 0])
            found = self._find(hashes)
        return found

    def named(self) -> Mapping[EdgeKey, tuple[Int64s, Int64s]]:
        """Sums and sketches, one row for each of `SKETCHES`, by edge in the order of the keys."""
        return {
            key: (self.counts[row], np.stack([self.cells.sketch(row, s) for s in range(SKETCHES)]))
            for key, row in sorted(self.items())
        }

    def total(self, column: str) -> int:
        """The sum of a column of `COUNTS` over all edges."""
        return int(self.counts[: self._size, COUNTS.index(column)].sum())

    def columns(self) -> tuple[UInt64s, Int64s, Int64s, Int64s]:
        """Keys in ascending order, their sums, and the cells of these rows as `Cells.counted`."""
        rows = np.lexsort(self.keys.T[::-1])
        new = np.empty(len(rows), np.int64)
        new[rows] = np.arange(len(rows))
        return self.keys[rows], self.counts[rows], *self.cells.moved(new)

    def add_columns(self, keys: UInt64s, counts: Int64s, places: Int64s, cells: Int64s) -> None:
        """Adds edges as `columns` gave them."""
        rows = self.places(keys)
        np.add.at(self.counts, rows, counts)
        self.cells.add_counted(places, cells, rows)

    def _find(self, hashes: UInt64s) -> Int64s:
        """The row of each hash; -1 for none."""
        if not len(self._hashes):
            return np.full(len(hashes), -1, np.int64)
        at = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        return np.where(self._hashes[at] == hashes, self._rows[at], -1)

    def _add(self, keys: UInt64s, hashes: UInt64s) -> None:
        """Makes rows for new keys in ascending order, so that limits do not depend on chance."""
        keys, first = np.unique(keys, axis=0, return_index=True)
        hashes = hashes[first]
        operations, known = np.unique(self.keys[:, 1], return_counts=True)
        counts = dict(zip(operations.tolist(), known.tolist(), strict=True))
        rows = np.empty(len(keys), np.int64)
        for place, key in enumerate(keys.tolist()):
            operation = key[1]
            of_operation = counts.get(operation, 0)
            if self._size >= MOST:
                rows[place] = self._row_of((OTHER_ID, OTHER_ID, 0, key[3], key[4]))
            elif of_operation >= (1 if self._size >= MANY else MOST_OF_OPERATION):
                peer = OTHER_ID if key[2] else 0
                rows[place] = self._row_of((OTHER_ID, operation, peer, key[3], key[4]))
            else:
                counts[operation] = of_operation + 1
                rows[place] = self._append(key)
        self._index(hashes, rows)

    def _row_of(self, key: EdgeKey) -> int:
        """The row of what stands for others."""
        keys = np.array([key], np.uint64)
        hashes = _hashed(keys)
        row = int(self._find(hashes)[0])
        if row < 0:
            row = self._append(list(key))
            self._index(hashes, np.array([row], np.int64))
        return row

    def _append(self, key: list[int]) -> int:
        if self._size == len(self._keys):
            more = max(_ROOM, self._size // 2)
            self._keys = np.concatenate([self._keys, np.zeros((more, 5), np.uint64)])
            self.counts = np.concatenate([self.counts, np.zeros((more, len(COUNTS)), np.int64)])
        self._keys[self._size] = key
        self._size += 1
        return self._size - 1

    def _index(self, hashes: UInt64s, rows: Int64s) -> None:
        all_hashes = np.concatenate([self._hashes, hashes])
        order = np.argsort(all_hashes, kind="stable")
        kept = np.ones(len(order), np.bool_)
        kept[1:] = all_hashes[order][1:] != all_hashes[order][:-1]
        self._hashes = all_hashes[order][kept]
        self._rows = np.concatenate([self._rows, rows])[order][kept]


def _hashed(keys: UInt64s) -> UInt64s:
    """A number for each key: two of 20,000 share one with a chance of 1 to 10**11."""
    mixed = np.zeros(len(keys), np.uint64)
    for column in range(keys.shape[1]):
        mixed = (mixed ^ keys[:, column]) * _MIX
        mixed ^= mixed >> np.uint64(29)
    return mixed
