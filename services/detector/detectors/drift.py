"""Drift: a level that leaves for hours the range in which it stayed for weeks, as a leak does.

What it measures: the lowest and the highest recent level within each quarter of a day, against
those of the weeks before. A quarter that lies beyond them as a whole, by half as much as they are
apart, is a drift: each step of it was small, and learnt. What is still older counts for less with
a half-life of a month. After a drift, and after a new level, a series has a week to itself.
Source: a control chart of a moving average (Roberts, "Control Chart Tests Based on Geometric
Moving Averages", Technometrics 1959) with limits by order statistics instead of a variance.
Cost: O(1), 20 bytes.
Weakness: it takes from six to twelve hours, and nothing drifts in the first week.

>>> state, step_ms = np.zeros(1, STATE)[0], QUARTER_MS // 6
>>> begin(state, 0.0)
>>> levels = [n % 7.0 for n in range(6 * 4 * 8)] + [20.0 + n for n in range(12)]
>>> [n for n, x in enumerate(levels) if follow(state, x, n * step_ms, step_ms)[2] > 0.0]
[198]
"""

from typing import Final

import numpy as np

from services.detector.detectors.jit import kernel

QUARTER_MS: Final = 21_600_000
DAY_MS: Final = 86_400_000
QUARTERS: Final = 28
"""Quarters of a day before one may be beyond the range: a week, whose days differ."""
MARGIN: Final = 0.5
"""How far beyond its range, as a share of it, a quarter is outside; half of it widens the range."""
FORGET: Final = 1.0 - 0.5 ** (1.0 / 120.0)
"""Share of the way to the present that the range goes in a quarter: a half in a month."""

STATE: Final = np.dtype(
    [
        ("low", np.float32),
        ("high", np.float32),
        ("range_low", np.float32),
        ("range_high", np.float32),
        ("quarters", np.uint32),
    ],
    align=True,
)
"""Lowest and highest level of this quarter and of those before, and how many those are."""


@kernel
def begin(state: np.void, level: float) -> None:
    """At the first sample, and where a new level begins: nothing is known of its range."""
    state["low"] = state["high"] = state["range_low"] = state["range_high"] = level
    state["quarters"] = 0


@kernel
def follow(
    state: np.void, level: float, local_ms: int, elapsed_ms: float
) -> tuple[float, float, float]:
    """Takes the level after a sample; the range that was left, and how rare that is.

    The last is the share of earlier quarters within the range, 0 where it was not left.
    """
    low, high = np.float64(state["range_low"]), np.float64(state["range_high"])
    rarity = 0.0
    if local_ms // QUARTER_MS != (local_ms - int(elapsed_ms)) // QUARTER_MS:
        reach = MARGIN * (high - low)
        is_beyond = state["low"] > high + reach or state["high"] < low - reach
        if is_beyond and state["quarters"] >= QUARTERS:
            rarity = 1.0 - 1.0 / (state["quarters"] + 1.0)
            begin(state, level)
        else:
            _widen(state)
            state["low"] = state["high"] = level
    state["low"], state["high"] = min(state["low"], level), max(state["high"], level)
    return low, high, rarity


@kernel
def _widen(state: np.void) -> None:
    """Takes the quarter into the range; of one that leaves an old range not all, it may go on."""
    low, high = state["range_low"], state["range_high"]
    if state["quarters"] == 0:
        low, high = state["low"], state["high"]
    reach = 0.5 * MARGIN * (high - low) if state["quarters"] >= QUARTERS else np.float32(np.inf)
    low += FORGET * max(state["low"] - low, np.float32(0.0))
    high -= FORGET * max(high - state["high"], np.float32(0.0))
    state["range_low"] = max(min(low, state["low"]), low - reach)
    state["range_high"] = min(max(high, state["high"]), high + reach)
    state["quarters"] += 1
