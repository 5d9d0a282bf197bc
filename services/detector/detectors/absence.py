"""Absence of data: how long a series may be silent before that says something.

What it measures: the longest of n intervals between timestamps is exceeded once in n + 1; beyond it
the tail falls with the square of the length, and a silence as improbable as `IMPROBABLE` is too
long. Series that arrive in portions are known by the longest pause between arrivals. Both fade:
the longest interval towards the usual one, a pause by a twelfth of the time that passes, so that an
old outage does not excuse a new one for ever.
Cost: O(1), 12 bytes.
Weakness: the first portion of a series seems to be its end, until the second comes.

>>> state, arrival = np.zeros(1, STATE)[0], np.zeros(1, ARRIVAL)[0]
>>> for count in range(999):
...     learn(state, 60_000.0)
...     learn_arrival(arrival, 60_000.0, 60_000.0, 180_000.0)
>>> round(patience_ms(60_000.0, 999, 0.0)), float(arrival["pause_ms"])
(600000, 60000.0)
>>> learn_arrival(arrival, 1.0, 1e9, 180_000.0)
>>> float(arrival["pause_ms"]), patience_ms(60_000.0, 999, 1_800_000.0)
(1800000.0, 5400000.0)
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from services.detector.detectors.jit import kernel

FADE: Final = 1.0 / 3000.0
IMPROBABLE: Final = 1e-5
TIMES_LONGEST: Final = 3.0
SHORTEST_MS: Final = 60_000.0
FORGOTTEN_PER_MS: Final = 1.0 / 12.0
TEACHES: Final = 10.0
"""A pause teaches at most so many times what was allowed: one outage does not blind a series."""

STATE = np.dtype([("longest_ms", np.float32)], align=True)
ARRIVAL = np.dtype([("delay_ms", np.float32), ("pause_ms", np.float32)], align=True)
"""How late the last sample arrived after its timestamp, and the longest pause, faded."""

F64 = npt.NDArray[np.float64]


@kernel
def learn(state: np.void, elapsed_ms: float) -> None:
    """Takes in the interval before a sample."""
    faded = state["longest_ms"] - FADE * (state["longest_ms"] - elapsed_ms)
    state["longest_ms"] = max(faded, elapsed_ms)


@kernel
def learn_arrival(arrival: np.void, elapsed_ms: float, quiet_ms: float, allowed_ms: float) -> None:
    """Takes in a sample that came after `quiet_ms` without any, when `allowed_ms` was allowed."""
    faded = arrival["pause_ms"] - FORGOTTEN_PER_MS * elapsed_ms
    arrival["pause_ms"] = max(faded, min(quiet_ms, TEACHES * allowed_ms), 0.0)


@kernel
def patience_ms(longest_ms: float, count: int, pause_ms: float) -> float:
    """The longest silence after `count` samples that is still usual."""
    rare = longest_ms / math.sqrt((count + 1.0) * IMPROBABLE)
    return max(rare, TIMES_LONGEST * max(longest_ms, pause_ms), SHORTEST_MS)


def patiences_ms(longest_ms: F64, count: npt.NDArray[np.int64], pause_ms: F64) -> F64:
    """The same for many series at once."""
    rare = longest_ms / np.sqrt((count + 1.0) * IMPROBABLE)
    usual = TIMES_LONGEST * np.maximum(longest_ms, pause_ms)
    return np.asarray(np.maximum(np.maximum(rare, usual), SHORTEST_MS))
