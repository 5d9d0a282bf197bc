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
from typing import Final

import numpy as np

from services.detector.detectors import tables
from services.detector.detectors.grid import WIDTHS
from services.detector.detectors.jit import kernel
from services.detector.detectors.sample import Reach
from services.detector.detectors.tables import SIZE, START, TABLES, Ages, Words

OLDEST: Final = 65535
LOW: Final = 0xFFFFFFFF
X: Final = 0xC13FA9A9
Y: Final = 0x91E10DA5
Z: Final = 0x8CB92BA7
"""Steps of the lattice; keys are their multiples by cells, added up, of which 32 bits count."""


MET: Final = np.dtype(
    [
        ("rarity", np.float64, (TABLES // WIDTHS,)),
        ("place", np.uint16, (TABLES,)),
        ("table", np.uint8, (TABLES,)),
        ("known", np.uint8, (TABLES,)),
        ("size", np.uint8),
    ],
    align=True,
)
"""Where a sample is new: `size` times a table, a bit, and how many of its cells were known before.

Of each context the rarity is the product of its tables' known cells per sample.
"""


@kernel
def part(cell: int, step: int) -> int:
    """What a cell adds to a key: neighbouring cells get leading bits far apart."""
    return ((cell & LOW) * step) & LOW


@kernel
def beyond(cell: int, reach: Reach, width: int) -> bool:
    """Whether a cell lies outside all cells that its signal ever was in."""
    return cell >> width > reach.high >> width or cell >> width < reach.low >> width


@kernel
def look(known: Words, table: int, key: int, far: bool, met: np.void, size: int) -> int:
    """Looks a key up in a table, new for sure if `far`; returns how much is new by now.

    Without a branch: whether something is new nobody can foretell, a processor neither.
    """
    place = int(START[table]) + ((key & LOW) >> (32 - int(SIZE[table])))
    met["table"][size] = table
    met["place"][size] = place
    is_known = int(known[place >> 5] >> np.uint32(place & 31)) & 1
    return size + (1 - is_known | int(far))


@kernel
def share(known: Words, age: Ages, met: np.void, place: int) -> float:
    """How rare new cells were in the table met at this place: known ones per sample."""
    table = met["table"][place]
    met["known"][place] = tables.count(known, table)
    return (int(met["known"][place]) + 1.0) / (int(age[table]) + 1.0)


@kernel
def surprise(rarity: float) -> float:
    """Mean surprise over all widths of a context."""
    return -math.log10(rarity) / WIDTHS if rarity < 1.0 else 0.0


@kernel
def learn(known: Words, age: Ages, met: np.void) -> None:
    """Makes known what was new."""
    for table in range(TABLES):
        age[table] += np.uint16(age[table] < OLDEST)
    for k in range(met["size"]):
        table, place = met["table"][k], int(met["place"][k])
        known[place >> 5] |= np.uint32(1 << (place & 31))
        if 4 * int(met["known"][k]) >= 3 << int(SIZE[table]):
            tables.clear(known, table)
            age[table] = 0
