"""Strangeness that lingers, as a tail probability within its own series.

What it measures: strangeness summed with a half-life of one hour, so that an anomaly is high from
its begin to its end, then ranked in a histogram of the series' own past.
Cost: O(1), 24 bytes.
Weakness: the hour after an anomaly stays high.
"""

import math

import numpy as np

from services.detector.detectors.jit import kernel

BINS = 20
HALF_LIFE_MS = 3_600_000.0
STATE = np.dtype([("level", np.float32), ("seen", np.uint8, (BINS,))], align=True)


@kernel
def rank(state, strangeness, elapsed_ms):  # type: ignore[no-untyped-def]
    """Adds the strangeness; returns the share of the past with less tension, in [0, 1)."""
    level = state["level"] * 0.5 ** (elapsed_ms / HALF_LIFE_MS) + strangeness
    state["level"] = level
    place = min(max(math.log2(level + 1e-9) + 15.0, 0.0), BINS - 1e-3)
    own = int(place)
    below, total = 0.0, 0.0
    for index in range(BINS):
        total += state["seen"][index]
        if index < own:
            below += state["seen"][index]
    within = (place - own) * (state["seen"][own] + 1.0)
    _count(state["seen"], own)
    return (below + within) / (total + 1.0)


@kernel
def _count(seen, own):  # type: ignore[no-untyped-def]
    if seen[own] == 255:
        for index in range(BINS):
            seen[index] = seen[index] >> 1
    seen[own] += 1
