"""Novelty of a context: has this cell been visited before, weighted by how rare that has been.

What it measures: a value is cut into dyadic cells of five widths, from a quarter of its series'
spread to four spreads; a context is such a cell, alone or with something beside it (the hour, the
cell before). A cell never visited is as surprising as new cells have been rare so far:
-log10(known cells / samples), so noise that keeps finding new cells soon surprises no one. The
score is the mean over the five widths: a far outlier is new at all of them, a near one at few.

Source: subspace hashing of random grids (Sathe, Aggarwal, "Subspace Outlier Detection in Linear
Time with Randomized Hashing", ICDM 2016), here with dyadic widths, one visit to be known, and a
lattice (Roberts, "The Unreasonable Effectiveness of Quasirandom Sequences", 2018) for a hash.
Cost: five look-ups per sample, 30 to 130 bytes per series and context.
Weakness: a known cell stays known until its table is three quarters full and starts over;
collisions hide some new cells within the range reached, they never add any.
"""

import math

import numpy as np
import numpy.typing as npt

from services.detector.detectors.grid import WIDTHS, source_of
from services.detector.detectors.jit import kernel
from services.detector.detectors.sample import Reach

Sizes = tuple[int, int, int, int, int]
Bytes = npt.NDArray[np.uint8]
Ages = npt.NDArray[np.uint16]
Places = npt.NDArray[np.int16]

OLDEST = 65535
ENOUGH = 6
"""Visits before a part of the calendar counts as known."""
KNOWN = -1
"""In the place of a place: nothing new was met there."""
_BITS = np.array([number.bit_count() for number in range(256)])
_LOW = np.uint64(0xFFFFFFFF)
_X, _Y, _Z = np.uint64(0xC13FA9A9), np.uint64(0x91E10DA5), np.uint64(0x8CB92BA7)


def table(sizes: Sizes) -> np.dtype[np.void]:
    """State of one context: a bit per known cell, and the samples met at each width."""
    size_bytes = sum(1 << size for size in sizes) // 8
    return np.dtype([("known", np.uint8, (size_bytes,)), ("age", np.uint16, (WIDTHS,))], align=True)


def parted_table(sizes: Sizes, parts: int) -> np.dtype[np.void]:
    """State of a context with a part of the calendar: a table, and the visits to each part."""
    return np.dtype([("table", table(sizes)), ("visits", np.uint8, (parts,))], align=True)


@kernel
def meet_part(
    state: np.void, sizes: Sizes, cell: int, reach: Reach, part: int, places: Places, at: int
) -> float:
    """Like `meet`, of a cell in a part of the calendar; a part hardly visited surprises no one."""
    table = state["table"]
    known, age = table["known"][:], table["age"][:]
    found = meet(known, age, sizes, cell, reach, 0, 0, part, places, at)
    return found if state["visits"][part] >= ENOUGH else 0.0


@kernel
def learn_part(state: np.void, sizes: Sizes, part: int, places: Places, at: int) -> None:
    """Like `learn`, of a cell that `meet_part` met."""
    table = state["table"]
    learn(table["known"][:], table["age"][:], sizes, places, at)
    if state["visits"][part] < ENOUGH:
        state["visits"][part] += 1


@kernel
def meet(
    known: Bytes,
    age: Ages,
    sizes: Sizes,
    cell: int,
    reach: Reach,
    first: int,
    second: int,
    fixed: int,
    places: Places,
    at: int,
) -> float:
    """Mean surprise over all widths of a cell beside two other cells and one fixed number.

    Writes to `places`, from `at` on, what `learn` wants. `known` and `age` are slices of a table:
    a field itself has its length in its type, and the kernel would be compiled again for every
    length.
    """
    total, start = 0.0, 0
    for width in range(WIDTHS):
        key = lattice(cell >> width, (first >> width) + fixed, second >> width)
        far = beyond(cell, reach, width)
        total += visit(known, age, sizes[width], width, start, key, far, places, at)
        start += 1 << sizes[width]
    return total / WIDTHS


@kernel
def learn(known: Bytes, age: Ages, sizes: Sizes, places: Places, at: int) -> None:
    """Makes the cells known that were met last, one at each width."""
    start = 0
    for width in range(WIDTHS):
        if age[width] < OLDEST:
            age[width] += 1
        place, size = places[at + width], sizes[width]
        if place != KNOWN:
            count = _count(known, start, size)
            known[place >> 3] |= np.uint8(1 << (place & 7))
            if 4 * count >= 3 << size:
                _clear(known, start, size)
                age[width] = 0
        start += 1 << size


@kernel
def beyond(cell: int, reach: Reach, width: int) -> bool:
    """Whether a cell lies outside all cells that its signal ever was in."""
    return cell >> width > reach.high >> width or cell >> width < reach.low >> width


@kernel
def lattice(x: int, y: int, z: int) -> np.uint64:
    """32-bit key whose leading bits tell neighbouring cells apart: collisions are far away."""
    first = (np.uint64(x & 0xFFFFFFFF) * _X) & _LOW
    second = (np.uint64(y & 0xFFFFFFFF) * _Y) & _LOW
    third = (np.uint64(z & 0xFFFFFFFF) * _Z) & _LOW
    return (first + second + third) & _LOW


@kernel
def visit(
    known: Bytes,
    age: Ages,
    size: int,
    width: int,
    start: int,
    key: np.uint64,
    far: bool,
    places: Places,
    at: int,
) -> float:
    """Surprise of one key at one width, new for sure if `far`; writes its place if it is new."""
    place = start + np.int64(key >> np.uint64(32 - size))
    places[at + width] = KNOWN
    if known[place >> 3] & np.uint8(1 << (place & 7)) and not far:
        return 0.0
    places[at + width] = place
    count = _count(known, start, size)
    return max(-math.log10((count + 1.0) / (age[width] + 1.0)), 0.0)


@kernel
def rescale(known: Bytes, age: Ages, sizes: Sizes, steps: int) -> None:
    """Moves what is known to the places it has after the grid's level changed by `steps`."""
    for index in range(WIDTHS):
        width, source = source_of(index, steps)
        _clear(known, _start(sizes, width), sizes[width])
        age[width] = 0
        if 0 <= source < WIDTHS:
            _move(known, sizes, source, width)
            age[width] = age[source]


@kernel
def _move(known: Bytes, sizes: Sizes, source: int, target: int) -> None:
    """Copies one width's bits to another's place, each repeated or neighbours joined to fit."""
    origin, start = _start(sizes, source), _start(sizes, target)
    finer = max(sizes[source], sizes[target])
    for leaf in range(1 << finer):
        place = origin + (leaf >> (finer - sizes[source]))
        if known[place >> 3] & (1 << (place & 7)):
            place = start + (leaf >> (finer - sizes[target]))
            known[place >> 3] |= np.uint8(1 << (place & 7))


@kernel
def _clear(known: Bytes, start: int, size: int) -> None:
    for index in range(start >> 3, (start + (1 << size)) >> 3):
        known[index] = 0


@kernel
def _count(known: Bytes, start: int, size: int) -> int:
    """Number of known cells of one width."""
    total = 0
    for index in range(start >> 3, (start + (1 << size)) >> 3):
        total += _BITS[known[index]]
    return total


@kernel
def _start(sizes: Sizes, width: int) -> int:
    """First bit of one width."""
    start = 0
    for finer in range(width):
        start += 1 << sizes[finer]
    return start
