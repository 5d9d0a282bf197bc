"""What one call costs more than usual, read from statistics of trace spans.

A span series carries `operation` and `span_kind` (server, client or internal) and, where known,
the other side of the call as `peer`: the caller of a server or client span. Metrics are told
apart by their words: self time, duration, count; a percentile in the name says what share of
the calls it speaks for.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from services.explainer.model.case import Case
from services.explainer.model.ranking import Reason
from services.explainer.model.windows import SeriesWindow
from services.explainer.rankers.deviation import USUAL_SIGMAS
from services.explainer.rankers.measures import Measure, measure_of, words_of
from services.explainer.rankers.moves import Move, move_of

TAIL_WORDS = frozenset({"p90", "p95", "p99", "max"})
TAIL_SHARE = 0.2
"""Share of the calls for which a high percentile is taken to speak."""

MEDIAN_SHARE = 0.5
"""Share of the calls for which a median speaks."""

DOUBTFUL_CALLS = 2.0
"""Slow calls that support an excess half."""

SpanKey = tuple[str, str, str, str]
Counts = dict[int, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeExcess:
    """Time one call takes longer than usual, on average over the calls.

    Attributes:
        time: In the unit of the series; 0 when nothing is beyond the usual range.
        size: Robust standard deviations of the series that moved farthest.
        in_tail: True when only a high percentile moved: few calls are slow, each by much.
        trust: How well several slow calls support it, 0..1; a single slow call is an accident.
    """

    time: float = 0.0
    size: float = 0.0
    in_tail: bool = False
    trust: float = 0.0
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Span:
    """One operation of one service as seen in traces.

    Attributes:
        service: Where the time passes; the service called for a client span with a known callee.
        peer: The caller; "" when unknown.
        own: Excess of the time spent in the span itself.
        whole: Excess of its duration, calls to others included.
        usual: Its duration as a rule, 0 when not measured.
        counts: Calls per time of sample.
        calls: Calls while observed.
    """

    service: str
    peer: str
    operation: str
    kind: str
    own: TimeExcess
    whole: TimeExcess
    usual: float
    counts: Counts
    calls: float


def spans_of(case: Case) -> list[Span]:
    """Every span operation observed during the symptom, sorted."""
    groups: dict[SpanKey, list[SeriesWindow]] = defaultdict(list)
    for window in case.series:
        labels = window.labels
        if "span_kind" in labels:
            key = (
                window.service,
                labels.get("peer", ""),
                labels.get("operation", ""),
                labels["span_kind"],
            )
            groups[key].append(window)
    spans = (_span(key, groups[key]) for key in sorted(groups))
    return [span for span in spans if span.calls > 0]


def _span(key: SpanKey, windows: list[SeriesWindow]) -> Span:
    service, peer, operation, kind = key
    own = [w for w in windows if measure_of(w.metric) is Measure.SELF_TIME]
    whole = [w for w in windows if measure_of(w.metric) is Measure.SERVER_LATENCY]
    counted = [w for w in windows if "count" in words_of(w.metric)]
    calls = _calls(counted or own)
    return Span(
        service=service,
        peer=peer,
        operation=operation,
        kind=kind,
        own=_excess(own, calls),
        whole=_excess(whole, calls),
        usual=_usual(whole),
        counts=_counts(counted),
        calls=calls,
    )


def _excess(windows: Iterable[SeriesWindow], calls: float) -> TimeExcess:
    moves = [move_of(window, Measure.SELF_TIME) for window in windows]
    far = [move for move in moves if move.size > USUAL_SIGMAS]
    if not far:
        return TimeExcess()
    longest, in_tail = max((_time(move), _in_tail(move)) for move in far)
    slow = calls * (TAIL_SHARE if in_tail else MEDIAN_SHARE)
    return TimeExcess(
        time=longest,
        size=max(move.size for move in far),
        in_tail=in_tail,
        trust=slow / (slow + DOUBTFUL_CALLS),
        reasons=tuple(move.reason() for move in far),
    )


def _usual(windows: Iterable[SeriesWindow]) -> float:
    usual = [float(np.median(w.baseline)) for w in windows if w.baseline.size]
    return min(usual, default=0.0)


def _time(move: Move) -> float:
    grown = move.deviation.observed - move.deviation.baseline
    return max(0.0, grown * (TAIL_SHARE if _in_tail(move) else 1.0))


def _in_tail(move: Move) -> bool:
    return bool(words_of(move.window.metric) & TAIL_WORDS)


def _counts(windows: list[SeriesWindow]) -> Counts:
    return {
        int(at): float(value)
        for window in windows
        for at, value in zip(window.timestamps_ms, window.values, strict=True)
        if np.isfinite(value)
    }


def _calls(windows: list[SeriesWindow]) -> float:
    return float(max((window.observed.sum() for window in windows), default=0.0))
