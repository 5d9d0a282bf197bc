"""From samples to windows that rankers compare and to evidence that people read. Pure."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from mesh.selector import written
from services.explainer.model.case import Change
from services.explainer.model.evidence import Evidence, EvidenceKind, Figure, Samples
from services.explainer.model.names import plain, series_name
from services.explainer.model.subjects import SeriesSamples, SubjectFacts
from services.explainer.model.windows import Deviation, SeriesWindow
from services.explainer.rankers.deviation import USUAL_SIGMAS, deviation
from services.explainer.rankers.measures import measure_of_series
from services.explainer.rankers.moves import move_of

HISTORY_SAMPLES_MIN: Final = 8
"""Fewer samples before the event tell nothing of what is usual."""

SHOWN_SAMPLES_MAX: Final = 500

SILENT_STEPS: Final = 3
"""A series that sends nothing for longer than so many of its steps is silent."""

_LEAD_SHARE: Final = 4
_UNITS: Final = (
    ("_seconds", "s"),
    ("_bytes", "By"),
    ("_celsius", "Cel"),
    ("_percent", "%"),
    ("_ratio", "1"),
    ("_total", ""),
)


def observed_start(series: Sequence[SeriesSamples], facts: SubjectFacts) -> int:
    """Where "usual" ends: the lead before the event, but never more than a quarter of the past.

    Without any past it is the event itself.
    """
    firsts = [int(each.timestamps_ms[0]) for each in series if each.timestamps_ms.size]
    past_ms = max(0, facts.event_ms - min(firsts, default=facts.event_ms))
    return facts.event_ms - min(facts.lead_ms, past_ms // _LEAD_SHARE)


def window_of(
    series: SeriesSamples, entity: str, *, start_ms: int, end_ms: int, evidence_id: str = ""
) -> SeriesWindow:
    """A series split at `start_ms` into what was usual and what is observed."""
    return SeriesWindow(
        evidence_id=evidence_id,
        labels=dict(series.labels),
        metric=series.labels.get("__name__", ""),
        service=entity,
        timestamps_ms=series.timestamps_ms,
        values=series.values,
        observed_start_ms=start_ms,
        observed_end_ms=end_ms,
    )


def has_history(window: SeriesWindow) -> bool:
    """Whether enough is known from before to call anything unusual."""
    return window.baseline.size >= HISTORY_SAMPLES_MIN


def shift_of(window: SeriesWindow) -> Deviation:
    """How a series moved: the way that is bad for what it measures if it did, else either way."""
    bad = move_of(window, measure_of_series(window)).deviation
    return bad if moved(bad) else deviation(window)


def moved(found: Deviation) -> bool:
    """Whether a series left its usual range."""
    return found.size >= USUAL_SIGMAS and found.change_ms is not None


def series_evidence(window: SeriesWindow, facts: SubjectFacts, kind: EvidenceKind) -> Evidence:
    """What a series shows around the event, with figures that `figures_of` gives again."""
    found = shift_of(window)
    times = window.timestamps_ms
    return Evidence(
        evidence_id=window.evidence_id,
        kind=kind,
        source=f"ingest QuerySamples {written(window.metric, window.labels)}",
        title=f"{series_name(window.labels)} {_how(window, found)}",
        start_ms=int(times[0]) if times.size else facts.event_ms,
        end_ms=int(times[-1]) if times.size else facts.event_ms,
        labels=window.labels,
        figures=figures_of(window, facts.event_ms),
        samples=thinned(window),
    )


def breach_of(window: SeriesWindow, facts: SubjectFacts) -> Evidence | None:
    """The crossed bound of the alert's rule, when the samples show that it was crossed."""
    if facts.rule is None:
        return None
    way, bound = facts.rule
    over = window.values > bound if way.startswith(">") else window.values < bound
    beyond = np.flatnonzero(over & window.inside)
    if not beyond.size:
        return None
    unit, since_ms = unit_of(window.metric), int(window.timestamps_ms[beyond[0]])
    worst = window.values[beyond].max() if way.startswith(">") else window.values[beyond].min()
    side = "above" if way.startswith(">") else "below"
    return Evidence(
        kind=EvidenceKind.THRESHOLD,
        source=f"ingest QuerySamples {written(window.metric, window.labels)}",
        title=f"{series_name(window.labels)} went {side} the threshold of the alert's rule",
        start_ms=since_ms,
        end_ms=int(window.timestamps_ms[beyond[-1]]),
        labels=window.labels,
        figures=(
            Figure(name="threshold", value=bound, unit=unit),
            Figure(name="worst", value=float(worst), unit=unit),
            _since_event(since_ms, facts.event_ms),
        ),
    )


def figures_of(window: SeriesWindow, event_ms: int) -> tuple[Figure, ...]:
    """Everything that may be quoted about a window; a pure function of its samples."""
    unit = unit_of(window.metric)
    if not has_history(window) or not window.observed.size:
        return _last_seen(window, event_ms, unit)
    found = shift_of(window)
    figures = [
        Figure(name="baseline", value=found.baseline, unit=unit),
        Figure(name="observed", value=found.observed, unit=unit),
    ]
    if found.is_told:
        figures.append(Figure(name="size_sigma", value=found.size, unit="1"))
    if found.change_ms is not None and moved(found):
        figures.append(_since_event(found.change_ms, event_ms))
    return (*figures, *_silence(window, event_ms))


def unit_of(metric: str) -> str:
    """The base unit that the metric's name tells, as in Prometheus; "" when it tells none."""
    return next((unit for ending, unit in _UNITS if metric.endswith(ending)), "")


def thinned(window: SeriesWindow) -> Samples | None:
    """At most 500 samples, evenly picked, the first and the last among them; finite ones only."""
    keep = np.flatnonzero(np.isfinite(window.values))
    if not keep.size:
        return None
    if keep.size > SHOWN_SAMPLES_MAX:
        keep = keep[np.linspace(0, keep.size - 1, SHOWN_SAMPLES_MAX).astype(np.int64)]
    return Samples(timestamps_ms=window.timestamps_ms[keep], values=window.values[keep])


def change_evidence(change: Change, facts: SubjectFacts) -> Evidence:
    """What people did, as a piece of evidence; the words of it are theirs."""
    text = f": {plain(change.text)}" if change.text.strip() else ""
    return Evidence(
        kind=EvidenceKind.CHANGE,
        source=f"explainer change {plain(change.id)}",
        title=f"{change.kind} {plain(change.id)} in {plain(change.service)}{text}",
        start_ms=change.at_ms,
        end_ms=change.at_ms,
        labels={"service": change.service},
        figures=(_since_event(change.at_ms, facts.event_ms),),
        reference_id=change.id,
    )


def _since_event(at_ms: int, event_ms: int) -> Figure:
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


def _silence(window: SeriesWindow, event_ms: int) -> tuple[Figure, ...]:
    """How long nothing had come at the event, where that is much longer than between samples."""
    times = window.timestamps_ms[np.isfinite(window.values)]
    before = times[times <= event_ms]
    if before.size < HISTORY_SAMPLES_MIN:
        return ()
    silent_ms = event_ms - int(before[-1])
    if silent_ms <= SILENT_STEPS * float(np.median(np.diff(before))):
        return ()
    return (Figure(name="silent_before_event", value=silent_ms / 1000, unit="s"),)


def _how(window: SeriesWindow, found: Deviation) -> str:
    if not window.observed.size:
        return "has no samples around the event"
    if not has_history(window):
        return "has no history before the event"
    if not moved(found):
        return "stayed within its usual range"
    return "rose above its usual range" if found.direction > 0 else "fell below its usual range"
