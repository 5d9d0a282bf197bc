"""How far, which way and since when one series has left its baseline.

A level counts when two neighbouring samples reach it, so a lone spike does not. The distance is
measured from the median of the baseline in robust standard deviations: the interquartile range
or, when the baseline is long enough to show one or the range is nil, its tail on that side, so
a series that often jumps must jump farther. What the baseline reaches in every second stretch as
long as the observed one is usual, however few samples it takes. It must also be a change against
the samples just before: what was already so before the symptom began did not cause it. The unit
of the series does not matter.

>>> import numpy as np
>>> from services.explainer.model.case import SeriesWindow
>>> window = SeriesWindow(
...     evidence_id="e1", metric="latency_seconds", service="cart",
...     timestamps_ms=np.arange(8) * 1000, values=np.array([1, 2, 1, 2, 1, 2, 9, 9.0]),
...     observed_start_ms=6000, observed_end_ms=7000)
>>> found = deviation(window)
>>> found.direction, found.change_ms, round(found.size, 1)
(1, 6000, 7.9)
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.explainer.model.windows import Deviation, SeriesWindow, Timestamps, Values

Mask = NDArray[np.bool_]

NORMAL_IQR = 1.349
"""Interquartile range of a standard normal distribution, in standard deviations."""

NORMAL_P95 = 1.645
"""Distance of its 95th percentile from the median."""

SCALE_FLOOR = 0.05
"""Smallest scale as a share of the baseline's level: less than that is not worth a word."""

TAIL_SAMPLES = 100
"""Baseline samples from which on the 95th percentile says something about the tail."""

USUAL_SIGMAS = 3.0
"""Farther from the median than this is outside the usual range."""

FEW_SAMPLES = {4: 2.1, 5: 1.5, 6: 1.2, 7: 1.1}
"""By how much fewer than eight samples understate a spread: three standard deviations of a next
sample by Student's t, of so many beside eight."""

LEAST_STRETCHES = 2
"""Stretches of the baseline from which on they say how far the series often goes."""

MOST_SIGMAS = 100.0
"""Nothing is farther: it bounds what a baseline that never moved can contribute."""

UNCHANGED = Deviation(change_ms=None, direction=0, size=0.0, baseline=0.0, spread=1.0, observed=0.0)


def deviation(window: SeriesWindow, *, towards: int = 0) -> Deviation:
    """Compare what is observed with the baseline; UNCHANGED when either is empty. O(n log n).

    Args:
        window: The series.
        towards: 1 looks for a rise only, -1 for a fall only, 0 for the larger of both.
    """
    key = (
        id(window.values),
        id(window.fault_free),
        window.observed_start_ms,
        window.observed_end_ms,
        towards,
    )
    if key not in window.measured:  # with the window, so that the ids stay those of its samples
        window.measured[key] = _measured(window, towards), window
    return window.measured[key][0]


def _measured(window: SeriesWindow, towards: int) -> Deviation:
    finite = np.isfinite(window.values)
    times, values = window.timestamps_ms[finite], window.values[finite]
    inside, usual = window.inside[finite], window.usual[finite]
    if not usual.any() or not inside.any():
        return UNCHANGED
    recent = values[_just_before(times, window)]
    signs = (1, -1) if towards == 0 else (towards,)
    with np.errstate(over="ignore", invalid="ignore"):
        found = [
            _along(sign, times[inside], values[inside], values[usual], recent) for sign in signs
        ]
    return max(found, key=lambda each: each.size)


def _along(sign: int, times: Timestamps, seen: Values, usual: Values, recent: Values) -> Deviation:
    reached = _often_reached(usual * sign, seen.size)
    rise = _rise(times, seen * sign, np.sort(usual * sign), recent * sign, reached)
    return replace(
        rise,
        direction=sign * rise.direction,
        baseline=sign * rise.baseline,
        observed=sign * rise.observed,
    )


def _rise(
    times: Timestamps, seen: Values, ordered: Values, recent: Values, reached: float
) -> Deviation:
    centre = quantile(ordered, 0.5)
    level = sustained(seen)
    spread = widened(_spread(ordered, centre), ordered.size)
    shown = max(spread, (reached - centre) / USUAL_SIGMAS)
    least = _least_spread(ordered, centre, largest=float(np.abs(seen).max()))
    spread = max(shown, least) or 1.0
    before = median(recent) if recent.size else centre
    size = (level - max(centre, before)) / spread
    size = min(max(size, 0.0), MOST_SIGMAS) if np.isfinite(size) else 0.0
    return Deviation(
        change_ms=_since(times, seen > centre + USUAL_SIGMAS * spread),
        direction=1 if size else 0,
        size=size,
        baseline=centre,
        spread=spread,
        observed=level,
        is_quotable=0.0 < least <= shown and size < MOST_SIGMAS,
    )


def widened(spread: float, samples: int) -> float:
    """The spread that so many samples show, for as much more as they may hide.

    >>> widened(1.0, 4), widened(1.0, 8)
    (2.1, 1.0)
    """
    return spread * FEW_SAMPLES.get(samples, 1.0)


def sustained(seen: Values) -> float:
    """The highest level that two neighbouring samples reach; of two or one, the higher.

    >>> sustained(np.array([1.0, 9.0, 2.0, 4.0, 3.0]))
    3.0
    """
    return float(np.minimum(seen[1:], seen[:-1]).max() if seen.size > 2 else seen.max())


def quantile(ordered: Values, share: float) -> float:
    """Quantile of values in ascending order, interpolated.

    >>> quantile(np.array([1.0, 2.0, 3.0, 4.0]), 0.5)
    2.5
    """
    at = share * (ordered.size - 1)
    low = int(at)
    high = min(low + 1, ordered.size - 1)
    below, above = float(ordered[low]), float(ordered[high])
    return below if below == above else below * (1.0 - at + low) + above * (at - low)


def median(values: Values) -> float:
    """Of finite values, at least one; of few several times faster than numpy's. O(n).

    >>> median(np.array([3.0, 1.0, 2.0, 9.0]))
    2.5
    """
    low, high = (values.size - 1) // 2, values.size // 2
    ordered = np.partition(values, (low, high))
    return float(ordered[low] + ordered[high]) / 2


def interquartile(ordered: Values) -> float:
    """Robust standard deviation by the middle half of values in ascending order."""
    return (quantile(ordered, 0.75) - quantile(ordered, 0.25)) / NORMAL_IQR


def _spread(ordered: Values, centre: float) -> float:
    spread = interquartile(ordered)
    if ordered.size >= TAIL_SAMPLES or not spread:
        spread = max(spread, (quantile(ordered, 0.95) - centre) / NORMAL_P95)
    return spread


def _least_spread(ordered: Values, centre: float, *, largest: float) -> float:
    """What is taken for the spread of a series that hardly moves; it says nothing of the series."""
    level = max(abs(centre), float(np.abs(ordered).mean()))
    return max(SCALE_FLOOR * level, largest / MOST_SIGMAS)


def _often_reached(usual: Values, length: int) -> float:
    """What every second stretch of the baseline, as long as what is observed, reaches."""
    stretches = usual.size // length
    if stretches < LEAST_STRETCHES:
        return -np.inf
    highest = usual[: stretches * length].reshape(stretches, length).max(axis=1)
    return float(np.sort(highest)[stretches // 2])


def _just_before(times: Timestamps, window: SeriesWindow) -> Mask:
    length_ms = window.observed_end_ms - window.observed_start_ms
    age_ms = window.observed_start_ms - times
    return (age_ms > 0) & (age_ms <= length_ms)


def _since(times: Timestamps, far: Mask) -> int | None:
    """Time of the first sample that is far together with the next one, if there is a next."""
    lasting = far.copy()
    lasting[:-1] &= far[1:]
    return int(times[lasting][0]) if lasting.any() else None
