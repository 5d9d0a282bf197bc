"""The spread of a signal, and the dyadic cells that follow from it.

What it measures: running mean and spread over about three thousand samples; the finest cell is a
quarter of the spread wide, a power of two, and each further width is twice as wide. The level moves
only when the spread has doubled or halved, so cells keep their meaning for long and what was learnt
is carried over.

Cost: O(1), 24 bytes per signal.
A value beyond `FARTHEST` spreads widens the spread no more than one at that distance.
Weakness: after a shift of the level the cells are coarse for a while.
"""

import math

import numpy as np

from services.detector.detectors.jit import kernel
from services.detector.detectors.sample import Reach

WIDTHS = 5
MEMORY = 3000
FINEST = -2
FARTHEST, SETTLED = 100.0, 50
"""Spreads from the mean that count in full, once so many values have been seen."""
LIMIT = 1e37
"""Larger values count as this large: what is derived from them must fit float32."""

STATE = np.dtype(
    [
        ("mean", np.float64),
        ("spread", np.float32),
        ("level", np.int16),
        ("lowest", np.float32),
        ("highest", np.float32),
    ],
    align=True,
)


@kernel
def scale(grid: np.void) -> float:
    """Finest cells per unit, a power of two."""
    return power_of_two(-(int(grid["level"]) + FINEST))


@kernel
def power_of_two(exponent: int) -> float:
    """2.0**exponent, from -1022 to 1023, written down as the bits of a float64."""
    power: float = np.int64((1023 + exponent) << 52).view(np.float64)
    return power


@kernel
def cell(scale: float, value: float) -> int:
    """Index of the finest cell that holds `value`; index >> k is its cell k widths up."""
    return math.floor(min(max(value * scale, -1e15), 1e15))


@kernel
def reach(grid: np.void, scale: float) -> Reach:
    """Cells of the lowest and the highest value so far."""
    low, high = np.float64(grid["lowest"]), np.float64(grid["highest"])
    return Reach(cell(scale, low), cell(scale, high))


@kernel
def rate_after(count: int) -> float:
    """Weight of a value after `count` others."""
    return max(1.0 / (count + 1.0), 1.0 / MEMORY)


@kernel
def learn(grid: np.void, value: float, count: int, rate: float, least: float) -> int:
    """Takes in a value after `count` others; returns by how many steps the level changed.

    `rate` is the `rate_after` so many. The level is that of a spread of `least` at the least.
    """
    off = value - grid["mean"]
    spread = np.float64(grid["spread"])
    smallest = 1e-9 * abs(grid["mean"]) + 1e-37
    if count >= SETTLED:
        most = FARTHEST * max(spread, smallest)
        off = min(max(off, -most), most)
    if count == 0 or value < grid["lowest"]:
        grid["lowest"] = _outward(value, -1.0)
    if count == 0 or value > grid["highest"]:
        grid["highest"] = _outward(value, 1.0)
    grid["mean"] += rate * off
    grid["spread"] = math.sqrt((1.0 - rate) * (spread * spread + rate * off * off))
    smallest = 1e-9 * abs(grid["mean"]) + 1e-37
    spread = max(np.float64(grid["spread"]), smallest, least)
    if count > 0 and 0.5 <= spread * power_of_two(-int(grid["level"])) <= 2.0:
        return 0
    steps: int = math.floor(math.log2(spread) + 0.5) - grid["level"]
    grid["level"] += steps
    return steps


@kernel
def source_of(index: int, steps: int) -> tuple[int, int]:
    """The index-th width to fill after a level change, and the width it had: safe in place."""
    width = index if steps > 0 else WIDTHS - 1 - index
    return width, width + steps


@kernel
def _outward(value: float, direction: float) -> np.float32:
    """The nearest float32 that is not inside of `value`, seen from the other end."""
    near: np.float32 = np.float32(value)
    if (value - np.float64(near)) * direction > 0.0:
        near = np.nextafter(near, np.float32(direction * 3e38))
    return near
