"""Kinds of log errors and times of traces, when they are sent as metrics. Pure.

`log_errors` (or `log_errors_total`, a counter) with the labels `service` and `pattern` counts lines
that report something bad; `span_self_time_seconds` with `service`, `operation` and `span_kind`
tells where traces spent their time. docs/explanation.md has the whole list.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np

from services.explainer.model.case import LogPattern
from services.explainer.model.evidence import EvidenceKind
from services.explainer.model.windows import SeriesWindow
from services.explainer.rankers.measures import Measure, measure_of, words_of

PATTERN_LABELS: Final = ("pattern", "message", "template", "exception", "logger")
_LOG_WORDS: Final = frozenset({"log", "logs"})
_BAD_LEVELS: Final = frozenset({"error", "critical", "fatal", "alert", "emergency"})


def is_log_errors(window: SeriesWindow) -> bool:
    """Whether a series counts log lines that report something bad."""
    words = words_of(window.metric)
    bad = measure_of(window.metric) is Measure.ERRORS
    level = window.labels.get("level", window.labels.get("severity", "")).lower()
    return bool(words & _LOG_WORDS) and (bad or level in _BAD_LEVELS)


def is_trace_time(window: SeriesWindow) -> bool:
    """Whether a series tells where traces spent their time."""
    return "span_kind" in window.labels and measure_of(window.metric) is Measure.SELF_TIME


def moved_kind(window: SeriesWindow) -> EvidenceKind:
    """What a series that moved is evidence of."""
    if is_log_errors(window):
        return EvidenceKind.LOG_ERRORS
    return EvidenceKind.TRACE_TIME if is_trace_time(window) else EvidenceKind.MOVED_SERIES


def patterns_of(windows: Iterable[SeriesWindow]) -> tuple[LogPattern, ...]:
    """Each kind of log error, with its lines beside those of as long a time before."""
    return tuple(_pattern(each) for each in windows if is_log_errors(each))


def _pattern(window: SeriesWindow) -> LogPattern:
    seen, usual = _lines(window, window.inside), _lines(window, ~window.inside)
    share = window.inside.sum() / max(1, (~window.inside).sum())
    told = next((window.labels[n] for n in PATTERN_LABELS if n in window.labels), window.metric)
    return LogPattern(
        evidence_id=window.evidence_id,
        service=window.service,
        text=told,
        count=seen,
        delta=seen - usual * float(share),
        negative=True,
    )


def _lines(window: SeriesWindow, chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> float:
    """Lines at the chosen times; a counter is told by its name and may start anew."""
    finite = np.nan_to_num(window.values)
    if window.metric.endswith("_total"):
        finite = np.maximum(np.diff(finite, prepend=finite[:1]), 0.0)
    return float(finite[chosen].sum())
