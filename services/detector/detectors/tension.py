"""Strangeness that lingers, as a tail probability within its own series.

What it measures: strangeness summed with a half-life of one hour, so that an anomaly is high from
its begin to its end; then ranked in a histogram of the series' own past, which starts as a guess
worth some three hundred samples and is interpolated within its bins.
Cost: O(1), 20 bytes.
Weakness: the hour after an anomaly stays high.

>>> state = np.zeros(1, STATE)[0]
>>> calm = [rank(state, 0.0, 60_000.0) for _ in range(1000)]
>>> bool(calm[-1] < 0.5 < 0.98 < rank(state, 9.0, 60_000.0) < 1.0)
True
"""

import math

import numpy as np
import numpy.typing as npt

from services.detector.detectors.jit import kernel

BINS = 8
FULL = 65535
GUESSES = tuple(50.0 * 0.7**place for place in range(BINS))
HALF_LIFE_MS = 3_600_000.0
STATE = np.dtype([("level", np.float32), ("seen", np.uint16, (BINS,))], align=True)


@kernel
def rank(state: np.void, strangeness: float, elapsed_ms: float) -> float:
    """Adds the strangeness; returns the share of the past with less tension, in [0, 1)."""
    level = state["level"] * 2.0 ** (elapsed_ms / -HALF_LIFE_MS) + strangeness
    state["level"] = level
    place = min(max(0.5 * math.log2(level + 1e-9) + 4.0, 0.0), BINS - 1e-3)
    own = int(place)
    at_least, above, total = 0.0, 1e-3, 1e-3
    for index in range(BINS):
        count = state["seen"][index] + GUESSES[index]
        total += count
        at_least += count if index >= own else 0.0
        above += count if index > own else 0.0
    _count(state["seen"], own)
    within = place - own
    tail: float = at_least * 2.0 ** (within * math.log2(above / at_least)) / total
    return 1.0 - tail


@kernel
def _count(seen: npt.NDArray[np.uint16], own: int) -> None:
    if seen[own] == FULL:
        for index in range(BINS):
            seen[index] = seen[index] >> 1
    seen[own] += 1
