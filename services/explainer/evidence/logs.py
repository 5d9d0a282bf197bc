"""Log errors and trace times among the series, and the patterns of the former. Pure.

`log_errors` (or `log_errors_total`, a counter) with the labels `service` and `pattern` counts lines
that report something bad; `span_self_time_seconds` with `service`, `operation` and `span_kind`
tells where traces spent their time. docs/explanation.md has the whole list.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from services.explainer.model.case import LogPattern
from services.explainer.model.windows import SeriesWindow
from services.explainer.rankers.measures import Measure, measure_of, words_of

PATTERN_LABELS: Final = ("pattern", "message", "template", "exception", "logger")
_LOG_WORDS: Final = frozenset({"log", "logs"})
_BAD_LEVELS: Final = frozenset({"error", "critical", "fatal", "alert", "emergency"})


def is_log_errors(metric: str, labels: Mapping[str, str]) -> bool:
    """Whether a series counts log lines that report something bad."""
    bad = measure_of(metric) is Measure.ERRORS
    level = labels.get("level", labels.get("severity", "")).lower()
    return bool(words_of(metric) & _LOG_WORDS) and (bad or level in _BAD_LEVELS)


def is_trace_time(window: SeriesWindow) -> bool:
    """Whether a series tells where traces spent their time."""
    return "span_kind" in window.labels and measure_of(window.metric) is Measure.SELF_TIME


def patterns_of(windows: Iterable[SeriesWindow]) -> tuple[LogPattern, ...]:
    """Each kind of log error, with its lines beside those of as long a time before."""
    return tuple(_pattern(each) for each in windows if is_log_errors(each.metric, each.labels))


def _pattern(window: SeriesWindow) -> LogPattern:
    events = np.nan_to_num(window.events) if window.events is not None else window.values
    seen, usual = float(events[window.inside].sum()), float(events[window.usual].sum())
    share = window.inside.sum() / max(1, window.usual.sum())
    text = next((window.labels[n] for n in PATTERN_LABELS if n in window.labels), window.metric)
    return LogPattern(
        evidence_id=window.evidence_id,
        service=window.service,
        text=text,
        count=seen,
        delta=seen - usual * float(share),
        negative=True,
    )
