"""The tables of all contexts as one: a bit per known cell, and the samples met by each table.

A context has a table for each width of the grid. Those of the first context come first, the finest
first; a table is found by `context * WIDTHS + width`.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from services.detector.detectors.grid import WIDTHS, source_of
from services.detector.detectors.jit import kernel, ones

NARROW: Final = (5, 5, 5, 4, 4)
"""log2 of the bits kept per width, the finest first: enough for a value alone."""
WIDE: Final = (7, 7, 7, 7, 7)
SIZES: Final = {
    "change": NARROW,
    "offset": NARROW,
    "daytime": (7, 7, 6, 6, 6),
    "weekend": (6, 6, 6, 5, 5),
    "sequence": WIDE,
    "pattern": WIDE,
    "run": (6, 6, 6, 6, 6),
}
"""Every context begins with a word of its own."""
CHANGE, OFFSET, DAYTIME, WEEKEND, SEQUENCE, PATTERN, RUN = range(0, len(SIZES) * WIDTHS, WIDTHS)
"""First table of each context."""

_ALL: Final = [size for sizes in SIZES.values() for size in sizes]
TABLES: Final = len(_ALL)
_ENDS: Final = np.cumsum([1 << size for size in _ALL])
WORDS: Final = int(_ENDS[-1]) // 32

SIZE: Final = np.array(_ALL, np.uint8)
START: Final = (_ENDS - (1 << SIZE.astype(np.int64))).astype(np.uint16)
"""First bit of each table."""
FIRST: Final = (START >> 5).astype(np.uint8)
LAST: Final = ((_ENDS - 1) >> 5).astype(np.uint8)
"""First and last word of each table."""
MASK: Final = np.array(
    [
        0xFFFFFFFF if size >= 5 else 0xFFFF << start % 32
        for size, start in zip(_ALL, START.tolist(), strict=True)
    ],
    np.uint32,
)
"""The bits of its words that are its own: two tables of 16 bits share a word."""

Words = npt.NDArray[np.uint32]
Ages = npt.NDArray[np.uint16]


@kernel
def count(known: Words, table: int) -> int:
    """Number of known cells of one table."""
    total = 0
    for word in range(FIRST[table], LAST[table] + 1):
        total += ones(known[word] & MASK[table])
    return total


@kernel
def clear(known: Words, table: int) -> None:
    """Forgets all cells of one table."""
    for word in range(FIRST[table], LAST[table] + 1):
        known[word] &= ~MASK[table]


@kernel
def rescale(known: Words, age: Ages, context: int, steps: int) -> None:
    """Moves what is known to the places it has after the grid's level changed by `steps`.

    `context` is its first table.
    """
    for index in range(WIDTHS):
        width, source = source_of(index, steps)
        clear(known, context + width)
        age[context + width] = 0
        if 0 <= source < WIDTHS:
            _move(known, context + source, context + width)
            age[context + width] = age[context + source]


@kernel
def _move(known: Words, source: int, target: int) -> None:
    """Copies one table's bits to another's place, each repeated or neighbours joined to fit."""
    finer = max(int(SIZE[source]), int(SIZE[target]))
    for leaf in range(1 << finer):
        place = int(START[source]) + (leaf >> finer - int(SIZE[source]))
        if known[place >> 5] >> np.uint32(place & 31) & np.uint32(1):
            place = int(START[target]) + (leaf >> finer - int(SIZE[target]))
            known[place >> 5] |= np.uint32(1 << (place & 31))
