"""From samples to windows that rankers compare, each split at its onset. Pure."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np

from services.explainer.evidence.counters import increases, is_counter, per_second
from services.explainer.evidence.logs import is_log_errors
from services.explainer.evidence.onset import HISTORY_SAMPLES_MIN, onset_of
from services.explainer.model.subjects import SeriesSamples, SubjectFacts
from services.explainer.model.windows import Deviation, SeriesWindow, Values
from services.explainer.rankers.deviation import SCALE_FLOOR, USUAL_SIGMAS, deviation, median
from services.explainer.rankers.measures import Measure, measure_of_series
from services.explainer.rankers.moves import move_of

EARLIER_MS: Final = 90 * 60_000
"""A series that left its range longer than that before the others did so for reasons of its own."""
_LEAD_SHARE: Final = 4
_AMOUNTS: Final = frozenset(
    {Measure.CPU, Measure.HOST, Measure.MEMORY, Measure.TRAFFIC, Measure.OTHER}
)
"""Measures of which a little says little."""


def observed_start(series: Sequence[SeriesSamples], facts: SubjectFacts) -> int:
    """Where "usual" ends: the lead before the event, but never more than a quarter of the past.

    Without any past it is the event itself. How long a rule saw its bound crossed is never usual,
    even if nothing is left that is.
    """
    firsts = [int(each.timestamps_ms[0]) for each in series if each.timestamps_ms.size]
    past_ms = max(0, facts.event_ms - min(firsts, default=facts.event_ms))
    return facts.event_ms - max(facts.held_ms, min(facts.lead_ms, past_ms // _LEAD_SHARE))


def window_of(
    series: SeriesSamples,
    entity: str,
    *,
    start_ms: int,
    end_ms: int,
    event_ms: int | None = None,
    is_own: bool = False,
) -> SeriesWindow:
    """A series split into what was usual and what is observed.

    Args:
        series: Its samples; those of a counter are measured by what they gain.
        entity: Who it belongs to.
        start_ms: Where it is split unless it left its usual range at another time.
        end_ms: Last time observed.
        event_ms: Where to look for when it left its range; None to split at `start_ms` whatever
            it does.
        is_own: The subject's own series is what it is about since whenever it left its range.
    """
    known = _windows.setdefault(series, {})
    key = entity, start_ms, end_ms, event_ms, is_own
    if key not in known:
        least_ms = -math.inf if is_own else start_ms - EARLIER_MS
        known[key] = _window_of(series, entity, start_ms, end_ms, event_ms, least_ms)
    return known[key]


_windows: Final = WeakKeyDictionary[SeriesSamples, dict[Hashable, SeriesWindow]]()
"""Of series that are read once for like subjects, as long as they are kept."""


def _window_of(
    series: SeriesSamples,
    entity: str,
    start_ms: int,
    end_ms: int,
    event_ms: int | None,
    least_ms: float,
) -> SeriesWindow:
    metric, times = series.labels.get("__name__", ""), series.timestamps_ms
    counts = is_counter(metric, series.values)
    values = per_second(times, series.values) if counts else series.values
    window = SeriesWindow(
        evidence_id="",
        labels=dict(series.labels),
        metric=metric,
        service=entity,
        timestamps_ms=times,
        values=values,
        observed_start_ms=start_ms,
        observed_end_ms=end_ms,
        events=increases(series.values) if counts else _lines(metric, series),
        is_rate=counts,
    )
    onset = None if event_ms is None else onset_of(times, values, event_ms)
    if onset is None or not least_ms <= onset.at_ms <= end_ms:
        return window
    return replace(window, observed_start_ms=onset.at_ms, fault_free=onset.usual)


def _lines(metric: str, series: SeriesSamples) -> Values | None:
    """Lines that each sample stands for, where a series counts log errors sample by sample."""
    return series.values if is_log_errors(metric, series.labels) else None


def without_small_newcomers(windows: Sequence[SeriesWindow]) -> list[SeriesWindow]:
    """Leaves out what was mostly nothing and stays small beside the largest series of its metric.

    From nothing every rise is beyond all bounds: a shell that takes 2 MiB would be as suspect as
    the program that takes all cores. Errors, waits and what fell silent are never left out.
    """
    largest: dict[str, float] = {}
    for each in windows:
        seen = float(np.abs(each.observed).max(initial=0.0))
        largest[each.metric] = max(largest.get(each.metric, 0.0), seen)
    return [each for each in windows if not _is_small_newcomer(each, largest[each.metric])]


def _is_small_newcomer(window: SeriesWindow, largest: float) -> bool:
    if measure_of_series(window) not in _AMOUNTS:
        return False
    if window.baseline.size and median(window.baseline):
        return False
    return bool(np.abs(window.observed).max(initial=0.0) < SCALE_FLOOR * largest)


def has_history(window: SeriesWindow) -> bool:
    """Whether enough is known from before to call anything unusual; of errors one count is."""
    is_count = window.events is not None and measure_of_series(window) is Measure.ERRORS
    return window.baseline.size >= (1 if is_count else HISTORY_SAMPLES_MIN)


def shift_of(window: SeriesWindow) -> Deviation:
    """How a series moved: the way that is bad for what it measures if it did, else either way."""
    bad = move_of(window, measure_of_series(window)).deviation
    return bad if moved(bad) else deviation(window)


def moved(found: Deviation) -> bool:
    """Whether a series left its usual range."""
    return found.size >= USUAL_SIGMAS and found.change_ms is not None


def is_apart(window: SeriesWindow) -> bool:
    """Whether what is observed is far from what is usual, since whenever that may be."""
    if not has_history(window) or not window.observed.size:
        return False
    centre = median(window.baseline)
    apart = abs(median(window.observed) - centre)
    return apart >= USUAL_SIGMAS * deviation(window).spread
