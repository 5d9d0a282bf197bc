"""Absence of data: how improbable is a silence this long, given the intervals seen so far.

What it measures: the longest of n intervals is exceeded once in n + 1; beyond it the tail falls
with the square of the length. The longest interval fades towards the usual one, so that an old
outage does not excuse a new one for ever.
Cost: O(1), 4 bytes.
Weakness: the first outage of a series teaches it that outages happen.

>>> state = np.zeros(1, STATE)[0]
>>> for _ in range(999):
...     learn(state, 60_000.0)
>>> [round(float(silence(state["longest_ms"], 1000, gap)), 4) for gap in (59e3, 61e3, 600e3)]
[0.0, 0.999, 1.0]
"""

import numpy as np
import numpy.typing as npt

from services.detector.detectors.jit import kernel

FADE = 1.0 / 3000.0
STATE = np.dtype([("longest_ms", np.float32)], align=True)

F64 = npt.NDArray[np.float64]


@kernel
def learn(state: np.void, elapsed_ms: float) -> None:
    """Takes in the interval before a sample."""
    faded = state["longest_ms"] - FADE * (state["longest_ms"] - elapsed_ms)
    state["longest_ms"] = max(faded, elapsed_ms)


def silence(longest_ms: npt.ArrayLike, count: npt.ArrayLike, gap_ms: npt.ArrayLike) -> F64:
    """Tail probability score in [0, 1) of no sample for `gap_ms` after `count` samples."""
    longest, gap = np.asarray(longest_ms, np.float64), np.asarray(gap_ms, np.float64)
    known = (longest > 0.0) & (gap > longest)
    ratio = np.divide(longest, gap, out=np.ones_like(gap + longest), where=known)
    return np.where(known, 1.0 - ratio * ratio / (np.asarray(count, np.float64) + 1.0), 0.0)
