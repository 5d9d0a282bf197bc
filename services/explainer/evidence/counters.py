"""Counters are measured by what they gain. Pure."""

from typing import Final

import numpy as np

from services.explainer.model.windows import Timestamps, Values

ENDINGS: Final = ("_total", "_count", "_sum", "_bucket")

PER_MINUTE: Final = frozenset({"span_count"})
"""Spans of each minute, as topology publishes them: no counter, even where none is fewer."""

_RESETS_MAX: Final = 0.05
"""Share of the steps that may be restarts; what falls more often is no counter."""


def is_counter(metric: str, values: Values) -> bool:
    """Whether a series only grows but for restarts, as its name says."""
    if not metric.endswith(ENDINGS) or metric in PER_MINUTE:
        return False
    steps = np.diff(values[np.isfinite(values)])
    return not steps.size or float((steps < 0).mean()) <= _RESETS_MAX


def increases(values: Values) -> Values:
    """What each sample adds to the one before; NaN for the first. After a restart it counts from 0.

    >>> increases(np.array([5.0, 7.0, np.nan, 8.0, 2.0]))
    array([nan,  2., nan,  1.,  2.])
    """
    kept = np.flatnonzero(np.isfinite(values))
    gained = np.full(values.size, np.nan)
    steps = np.diff(values[kept])
    gained[kept[1:]] = np.where(steps < 0, values[kept[1:]], steps)
    return gained


def per_second(times: Timestamps, values: Values) -> Values:
    """Increase per second since the sample before; NaN for the first.

    >>> per_second(np.array([0, 2000, 4000]), np.array([1.0, 5.0, 6.0]))
    array([nan, 2. , 0.5])
    """
    kept = np.flatnonzero(np.isfinite(values))
    rates = np.full(values.size, np.nan)
    seconds = np.maximum(np.diff(times[kept]), 1) / 1000
    rates[kept[1:]] = increases(values)[kept[1:]] / seconds
    return rates
