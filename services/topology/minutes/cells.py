"""Sketches of many edges as counts of cells: most edges use few of them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.topology.minutes.sketch import CELLS, middles_s

DURATION: Final = 0
OWN: Final = 1
WAIT: Final = 2
SKETCHES: Final = 3
_PER_ROW: Final = SKETCHES * CELLS
_LOOSE: Final = 4096

Int64s = NDArray[np.int64]


class Cells:
    """Counts by row, sketch and cell; the order in which they come changes nothing."""

    def __init__(self) -> None:
        """Holds nothing."""
        self._places: Int64s = np.empty(0, np.int64)
        self._counts: Int64s = np.empty(0, np.int64)
        self._loose: list[tuple[Int64s, Int64s]] = []
        self._loose_size = 0

    def add(self, rows: Int64s, which: int, cells: Int64s) -> None:
        """Counts a duration in a cell of the sketch `which` of each row."""
        self._add(rows * _PER_ROW + which * CELLS + cells, np.ones(len(rows), np.int64))

    def add_counted(self, places: Int64s, counts: Int64s, rows: Int64s) -> None:
        """Adds what `counted` gave of other rows; `rows` are theirs here."""
        self._add(rows[places // _PER_ROW] * _PER_ROW + places % _PER_ROW, counts)

    def counted(self) -> tuple[Int64s, Int64s]:
        """The places that are counted, ascending, and how often."""
        if self._loose:
            places = np.concatenate([self._places, *(each for each, _ in self._loose)])
            counts = np.concatenate([self._counts, *(each for _, each in self._loose)])
            order = np.argsort(places, kind="stable")
            places, counts = places[order], counts[order]
            begins = np.flatnonzero(np.r_[True, places[1:] != places[:-1]])
            self._places, self._counts = places[begins], np.add.reduceat(counts, begins)
            self._loose, self._loose_size = [], 0
        return self._places, self._counts

    def sketch(self, row: int, which: int) -> Int64s:
        """One sketch of a row, `CELLS` long."""
        places, counts = self.counted()
        begin = row * _PER_ROW + which * CELLS
        first, last = np.searchsorted(places, (begin, begin + CELLS))
        dense = np.zeros(CELLS, np.int64)
        dense[places[first:last] - begin] = counts[first:last]
        return dense

    def sizes(self, rows: int) -> Int64s:
        """How many durations each sketch of the first `rows` rows holds: rows x `SKETCHES`."""
        return np.diff(self._sums(rows)).reshape(rows, SKETCHES)

    def quantiles_s(self, rows: int, which: float) -> NDArray[np.float64]:
        """`quantile_s` of each of these sketches, without a dense one: NaN of an empty one."""
        places, counts = self.counted()
        found = np.full(rows * SKETCHES, np.nan)
        sums = self._sums(rows)
        held = np.flatnonzero(np.diff(sums))
        wanted = sums[held] + which * np.diff(sums)[held]
        at = np.searchsorted(np.cumsum(counts), wanted)
        found[held] = middles_s(places[at] % CELLS)
        return found.reshape(rows, SKETCHES)

    def moved(self, rows: Int64s) -> tuple[Int64s, Int64s]:
        """As `counted`, with row n as row `rows[n]`; in ascending order again."""
        places, counts = self.counted()
        places = rows[places // _PER_ROW] * _PER_ROW + places % _PER_ROW
        order = np.argsort(places)
        return places[order], counts[order]

    @staticmethod
    def rows_of(places: Int64s) -> Int64s:
        """The row of each place."""
        rows: Int64s = places // _PER_ROW
        return rows

    @staticmethod
    def shifted(places: Int64s, rows: int) -> Int64s:
        """Places of rows that stand so many rows further on."""
        return places + rows * _PER_ROW

    def _sums(self, rows: int) -> Int64s:
        """How many durations stand before each sketch, and before the end of the last one."""
        places, counts = self.counted()
        begins = np.searchsorted(places, np.arange(rows * SKETCHES + 1) * CELLS)
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])[begins]

    def _add(self, places: Int64s, counts: Int64s) -> None:
        if len(places):
            self._loose.append((places, counts))
            self._loose_size += len(places)
        if self._loose_size > max(_LOOSE, len(self._places)):
            self.counted()
