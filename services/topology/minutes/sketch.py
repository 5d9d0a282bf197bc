"""Durations as counts in cells that grow by a fifth of an octave: a quantile is true within 8 %."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

CELLS: Final = 128
PER_OCTAVE: Final = 5
_FIRST_NS: Final = 16_384
BOUNDS_NS: Final = np.array(
    [round(_FIRST_NS * 2 ** (cell / PER_OCTAVE)) for cell in range(1, CELLS)], np.int64
)
"""Where each cell but the first begins: from 16 us to 12 minutes."""
_MIDDLES_NS: Final = np.array(
    [_FIRST_NS * 2 ** ((cell + 0.5) / PER_OCTAVE) for cell in range(CELLS)]
)


def cells_of(durations_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """The cell of each duration. Integers are compared, so that every machine finds the same."""
    return np.searchsorted(BOUNDS_NS, durations_ns, side="right")


def quantile_s(counts: NDArray[np.int64], which: float) -> float:
    """A quantile of a sketch in seconds; NaN of an empty one.

    Examples:
        >>> counts = np.bincount(cells_of(np.full(9, 20_000_000)), minlength=CELLS)
        >>> bool(abs(quantile_s(counts, 0.5) - 0.02) < 0.0016)
        True
    """
    total = int(counts.sum())
    if not total:
        return float("nan")
    cell = int(np.searchsorted(np.cumsum(counts), which * total))
    return float(middles_s(np.array(min(cell, CELLS - 1))))


def middles_s(cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """The duration for which each cell stands, in seconds."""
    return _MIDDLES_NS[cells] / 1e9
