"""Figures of a window, which may be quoted: functions of its samples alone. Pure."""

from typing import Final

import numpy as np

from services.explainer.evidence.onset import HISTORY_SAMPLES_MIN
from services.explainer.evidence.windowing import has_history, is_apart, moved, shift_of
from services.explainer.model.evidence import Figure, Samples
from services.explainer.model.names import unit_of_name
from services.explainer.model.windows import SeriesWindow, Values
from services.explainer.rankers.deviation import interquartile, median

SHOWN_SAMPLES_MAX: Final = 500

SILENT_STEPS: Final = 3
"""A series that sends nothing for longer than so many of its steps is silent."""

RECENT_MS: Final = 60 * 60_000
"""What a series did that long before what is observed is told, though it be over."""
_RARE: Final = (1.0, 99.0)

_LEAST_SHARE: Final = 1e-3
"""Levels that differ by less than that read the same."""


def figures_of(window: SeriesWindow, event_ms: int) -> tuple[Figure, ...]:
    """Everything that may be quoted about a window; a pure function of its samples."""
    unit = unit_of(window)
    if not has_history(window) or not window.observed.size:
        return _last_seen(window, event_ms, unit)
    found = shift_of(window)
    figures = [
        Figure(name="baseline", value=found.baseline, unit=unit),
        Figure(name="observed", value=found.observed, unit=unit),
    ]
    if found.is_quotable:
        figures.append(Figure(name="size_sigma", value=found.size, unit="1"))
    if found.change_ms is not None and moved(found):
        figures.append(since_event(found.change_ms, event_ms))
    elif not is_apart(window):
        figures += outside_of(window)
    return (*figures, *silence_of(window, event_ms))


def outside_of(window: SeriesWindow) -> list[Figure]:
    """What a series that did not move still reached beyond all that it usually does; [] if nothing.

    Also when it was over before what is observed began, within the hour. Its usual range is that of
    the baseline alone, and as much more as its spread; the half of what is observed lies within all
    but its hundredth part. Of a counter that stood still it is what it gained.
    """
    usual, seen = _older_and_recent(window)
    if window.is_rate and window.events is not None and not usual.any():
        gained = float(np.nansum(window.events[window.inside]))
        return [Figure(name="gained", value=gained)] if gained > 0 else []
    low, high = float(usual.min()), float(usual.max())
    middle = median(usual)
    spare = max(interquartile(np.sort(usual)), _LEAST_SHARE * max(abs(low), abs(high)))
    reached = max((float(seen.min()), float(seen.max())), key=lambda each: abs(each - middle))
    if low - spare <= reached <= high + spare:
        low, high = (float(each) for each in np.percentile(usual, _RARE))
        reached = median(window.observed)
        if low <= reached <= high:
            return []
    unit = unit_of(window)
    bounds = [("reached", reached), ("usual_low", low), ("usual_high", high)]
    return [Figure(name=name, value=value, unit=unit) for name, value in bounds]


def _older_and_recent(window: SeriesWindow) -> tuple[Values, Values]:
    """What is usual without the last hour of it, and that hour with what is observed.

    Where too little is older: the baseline, and what is observed.
    """
    times, finite = window.timestamps_ms, np.isfinite(window.values)
    since_ms = window.observed_start_ms - RECENT_MS
    older = window.values[window.usual & finite & (times < since_ms)]
    if older.size < HISTORY_SAMPLES_MIN:
        return window.baseline, window.observed
    recent = finite & (times >= since_ms) & (times <= window.observed_end_ms)
    return older, window.values[recent]


def unit_of(window: SeriesWindow) -> str:
    """The base unit that the metric's name tells, as in Prometheus; "" when it tells none.

    What a counter counts is told per second.
    """
    unit = unit_of_name(window.metric)
    return f"{unit or '1'}/s" if window.is_rate else unit


def thinned(window: SeriesWindow) -> Samples | None:
    """At most 500 samples, evenly picked, the first and the last among them; finite ones only."""
    keep = np.flatnonzero(np.isfinite(window.values))
    if not keep.size:
        return None
    if keep.size > SHOWN_SAMPLES_MAX:
        keep = keep[np.linspace(0, keep.size - 1, SHOWN_SAMPLES_MAX).astype(np.int64)]
    return Samples(timestamps_ms=window.timestamps_ms[keep], values=window.values[keep])


def since_event(at_ms: int, event_ms: int) -> Figure:
    before_s = (event_ms - at_ms) / 1000
    name = "change_before_event" if before_s >= 0 else "change_after_event"
    return Figure(name=name, value=abs(before_s), unit="s")


def _last_seen(window: SeriesWindow, event_ms: int, unit: str) -> tuple[Figure, ...]:
    seen = np.flatnonzero(np.isfinite(window.values))
    if not seen.size:
        return ()
    last = int(seen[-1])
    figures = [Figure(name="last_value", value=float(window.values[last]), unit=unit)]
    silent_s = (event_ms - int(window.timestamps_ms[last])) / 1000
    if silent_s > 0 and not window.observed.size:
        figures.append(Figure(name="silent_before_event", value=silent_s, unit="s"))
    return tuple(figures)


def silence_of(window: SeriesWindow, event_ms: int) -> tuple[Figure, ...]:
    """How long nothing had come at the event, where that is much longer than between samples."""
    times = window.timestamps_ms[np.isfinite(window.values)]
    before = times[times <= event_ms]
    if before.size < HISTORY_SAMPLES_MIN:
        return ()
    silent_ms = event_ms - int(before[-1])
    if silent_ms <= SILENT_STEPS * median(np.diff(before)):
        return ()
    return (Figure(name="silent_before_event", value=silent_ms / 1000, unit="s"),)
