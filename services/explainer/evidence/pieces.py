"""From windows and changes to evidence that people read. Pure."""

from collections.abc import Hashable, Iterator
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np

from mesh.selector import written
from services.explainer.evidence.figures import (
    figures_of,
    outside_of,
    silence_of,
    since_event,
    thinned,
    unit_of,
)
from services.explainer.evidence.logs import is_log_errors, is_trace_time
from services.explainer.evidence.windowing import has_history, is_apart, moved, shift_of
from services.explainer.model.case import Change
from services.explainer.model.evidence import Evidence, EvidenceKind, Figure
from services.explainer.model.names import plain, series_name
from services.explainer.model.subjects import SubjectFacts
from services.explainer.model.windows import Deviation, SeriesWindow
from services.explainer.rankers.saturation import Use, is_free

_COMPARED: Final = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
}
_CROSSED: Final = {
    ">": "went above",
    ">=": "reached",
    "<": "went below",
    "<=": "fell to",
    "==": "was at",
}


def series_evidence(
    window: SeriesWindow, facts: SubjectFacts, kind: EvidenceKind, use: Use | None = None
) -> Evidence:
    """What a series shows around the event, with figures that `figures_of` gives again.

    Args:
        window: The series.
        facts: The subject.
        kind: What it is evidence of.
        use: How full the resource is that it measures, when it ran full.
    """
    key = facts.event_ms, kind, use and (use.full_since_ms, use.limit)
    known = _series_pieces.setdefault(window, {})
    if key not in known:
        known[key] = _series_evidence(window, facts, kind, use)
    return known[key]


_series_pieces: Final = WeakKeyDictionary[SeriesWindow, dict[Hashable, Evidence]]()
"""Of windows that like subjects share, as long as they are kept."""


def _series_evidence(
    window: SeriesWindow, facts: SubjectFacts, kind: EvidenceKind, use: Use | None
) -> Evidence:
    found = shift_of(window)
    full = "ran out" if is_free(window.metric) else "ran full"
    how = full if use else _how(window, found, facts.event_ms)
    times = window.timestamps_ms
    return Evidence(
        evidence_id=window.evidence_id,
        kind=kind,
        source=f"ingest QuerySamples {written(window.metric, window.labels)}",
        title=f"{series_name(window.labels)} {how}",
        start_ms=int(times[0]) if times.size else facts.event_ms,
        end_ms=int(times[-1]) if times.size else facts.event_ms,
        labels=window.labels,
        figures=(*figures_of(window, facts.event_ms), *_fullness(use, facts.event_ms)),
        samples=thinned(window),
        is_apart=not moved(found) and is_apart(window),
    )


def _fullness(use: Use | None, event_ms: int) -> Iterator[Figure]:
    """Since when a resource is used up, and its size where that is known."""
    if use is None or use.full_since_ms is None:
        return
    before_s = (event_ms - use.full_since_ms) / 1000
    side = "before" if before_s >= 0 else "after"
    yield Figure(name=f"full_{side}_event", value=abs(before_s), unit="s")
    if use.limit is not None:
        yield Figure(name="limit", value=use.limit, unit=unit_of(use.window))


def _how(window: SeriesWindow, found: Deviation, event_ms: int) -> str:
    if not window.observed.size:
        return "has no samples around the event"
    if not has_history(window):
        return "has no history before the event"
    if moved(found):
        return "rose above its usual range" if found.direction > 0 else "fell below its usual range"
    if is_apart(window):
        return "was outside its usual range already before"
    if silence_of(window, event_ms):
        return "fell silent"
    if outside_of(window):
        return "reached what it usually does not"
    return "stayed within its usual range"


def moved_kind(window: SeriesWindow) -> EvidenceKind:
    """What a series that moved is evidence of."""
    if is_log_errors(window.metric, window.labels):
        return EvidenceKind.LOG_ERRORS
    return EvidenceKind.TRACE_TIME if is_trace_time(window) else EvidenceKind.MOVED_SERIES


def breach_of(window: SeriesWindow, facts: SubjectFacts) -> Evidence | None:
    """The crossed bound of the alert's rule, when the samples show that it was crossed."""
    if facts.rule is None or window.is_rate:
        return None
    sign, bound = facts.rule
    beyond = np.flatnonzero(_COMPARED[sign](window.values, bound) & window.inside)
    if not beyond.size:
        return None
    unit, since_ms = unit_of(window), int(window.timestamps_ms[beyond[0]])
    worst = window.values[beyond].max() if sign.startswith(">") else window.values[beyond].min()
    return Evidence(
        kind=EvidenceKind.THRESHOLD,
        source=f"ingest QuerySamples {written(window.metric, window.labels)}",
        title=f"{series_name(window.labels)} {_CROSSED[sign]} the threshold of the alert's rule",
        start_ms=since_ms,
        end_ms=int(window.timestamps_ms[beyond[-1]]),
        labels=window.labels,
        figures=(
            Figure(name="threshold", value=bound, unit=unit),
            Figure(name="worst", value=float(worst), unit=unit),
            since_event(since_ms, facts.event_ms),
        ),
    )


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
        figures=(since_event(change.at_ms, facts.event_ms),),
        reference_id=change.id,
    )


def as_evidence(facts: SubjectFacts, owner: str) -> Evidence:
    """An alert or anomaly as a piece of evidence."""
    kind, call = EvidenceKind(facts.ref.kind.value), facts.ref.kind.value.capitalize()
    if facts.is_breach:
        kind = EvidenceKind.THRESHOLD
    return Evidence(
        kind=kind,
        source=f"{owner} Get{call} {facts.ref.id}",
        title=facts.title,
        start_ms=facts.event_ms,
        end_ms=facts.event_ms,
        labels=facts.labels,
        figures=facts.figures,
        reference_id=facts.ref.id,
        rule=facts.rule_name,
        severity=facts.severity,
    )
