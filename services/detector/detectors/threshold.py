"""Thresholds with hysteresis and hold time: the episodes of one rule over many series.

What it measures: whether a series has stayed beyond a threshold long enough. One hit when the
episode begins, one more when it turns from warning to critical, one when it ends. Time in which the
series was silent too long does not count.
Cost: O(1) per sample, 24 bytes per series that the rule watches.
Weakness: a series that stops sending keeps its episode open.

>>> state, hits = empty(1), np.zeros(4, np.int8)
>>> step(state, np.zeros(4, np.int32), np.arange(4) * 1000, np.array([81.0, 82.0, 96.0, 97.0]),
...      np.ones(4, np.bool_), np.zeros(4, np.bool_), Terms(80.0, 95.0, 5.0, 1000), hits)
>>> hits.tolist(), int(state[0]["said"])
([0, 1, 0, 2], 2)
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.detector.detectors.jit import kernel

NEVER = -(2**63)
WARNING, CRITICAL, OVER = 1, 2, 3
STATE = np.dtype(
    [("since_warning", np.int64), ("since_critical", np.int64), ("said", np.int64)], align=True
)

Rows = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]
Column = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Hits = npt.NDArray[np.int8]
States = npt.NDArray[np.void]


class Terms(NamedTuple):
    """A rule for values that are bad when high; a threshold that is not set is infinite."""

    warning: float
    critical: float
    hysteresis: float
    hold_ms: int


def empty(count: int) -> States:
    """Series that are not beyond any threshold."""
    state = np.zeros(count, dtype=STATE)
    state["since_warning"] = state["since_critical"] = NEVER
    return state


@kernel
def step(
    state: States,
    places: Rows,
    times: Times,
    values: Column,
    fresh: Flags,
    apart: Flags,
    terms: Terms,
    hits: Hits,
) -> None:
    """Takes samples in order; writes 1 (warning) or 2 (critical) where one begins, 3 at its end.

    `places` is the place of each sample's series in `state`; samples that are not `fresh` change
    nothing, and those that are `apart` from the one before count from their own time on.
    """
    lowest = min(terms.warning, terms.critical)
    for i in range(places.shape[0]):
        if fresh[i]:
            s, x = state[places[i]], values[i]
            if apart[i]:
                s["since_warning"] = s["since_critical"] = NEVER
            _clock(s, x, times[i], terms)
            hits[i] = _speak(s, times[i], terms.hold_ms)
            if s["said"] > 0 and x < lowest - terms.hysteresis:
                s["said"] = 0
                hits[i] = OVER


@kernel
def _clock(s: np.void, x: float, time_ms: int, terms: Terms) -> None:
    if not x >= terms.warning:
        s["since_warning"] = NEVER
    elif s["since_warning"] == NEVER:
        s["since_warning"] = time_ms
    if not x >= terms.critical:
        s["since_critical"] = NEVER
    elif s["since_critical"] == NEVER:
        s["since_critical"] = time_ms


@kernel
def _speak(s: np.void, time_ms: int, hold_ms: int) -> int:
    level = 0
    if s["since_critical"] != NEVER and time_ms - s["since_critical"] >= hold_ms:
        level = CRITICAL
    elif s["since_warning"] != NEVER and time_ms - s["since_warning"] >= hold_ms:
        level = WARNING
    if level <= s["said"]:
        return 0
    s["said"] = level
    return level


@kernel
def in_order(rows: Rows, times: Times, values: Column, newest_ms: Times, fresh: Flags) -> None:
    """Marks finite samples that pass the newest of their series, and moves `newest_ms`."""
    for i in range(rows.shape[0]):
        if np.isfinite(values[i]) and times[i] > newest_ms[rows[i]]:
            fresh[i] = True
            newest_ms[rows[i]] = times[i]
