"""Blames the service in which something rare began to happen.

Uses counts of what should not happen: error lines, log patterns, error codes, exceptions and
restarts. Counts need no spread: how many are too many follows from how many there were before, from
one sample of the past on. The question is how likely so many are if nothing has changed, per
request handled where requests are counted, else per sample (a Poisson count whose rate is known
from the past by Jeffreys' prior, so a negative binomial tail). Counts that come in bursts are
judged by how much stretches of their own past differ (quasi-Poisson). What a service that is called
shows as well is not the caller's: the deepest one counts. Cost: one pass over the counts. Blind to
faults that are silent.

>>> from services.explainer.model.case import Case, Subject
>>> RareEvents().rank(Case(subject=Subject(id="a1"))).suspects
()
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
from scipy.special import betainc, ndtr, ndtri, stdtrit

from services.explainer.model.case import Case
from services.explainer.model.ranking import Ranking, Reason
from services.explainer.model.windows import SeriesWindow, Values
from services.explainer.rankers.deviation import MOST_SIGMAS
from services.explainer.rankers.measures import Measure, measure_of_series, words_of
from services.explainer.rankers.moves import unexplained_in
from services.explainer.rankers.ranking import ranking

STRETCHES_MIN: Final = 4
"""Stretches of the past from which on they tell how bursty a count is."""

TAILS: Final = 4.0
"""Degrees of freedom of Student's t by which robust deviations are taken to spread without a fault,
as Lange, Little and Taylor (1989) advise for data with outliers; 3 to 5 do alike."""

_FEW: Final = 0.5
"""Requests added to each sample: an event without a request counted is not infinitely unlikely."""

PRIOR: Final = 0.5
"""Jeffreys' prior of a Poisson rate, in events."""

_REQUESTS: Final = frozenset("requests request calls rpcs queries operations ops count".split())  # noqa: SIM905

_OUTAGES: Final = 0.9
"""Stretches of the past beyond this quantile may be earlier outages: they tell of no burstiness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RareEvents:
    """How unlikely bad events are by their past, as a robust deviation that is as unlikely."""

    name: str = "rare events"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        handled = _handled(case.series)
        excess: dict[str, float] = {}
        reasons: dict[str, list[Reason]] = defaultdict(list)
        for window in filter(is_bad_count, case.series):
            size = as_robust(surprise(window, handled.get(window.service, {})))
            excess[window.service] = max(size, excess.get(window.service, 0.0))
            reasons[window.service].append(_reason(window, size))
        strength = {service: float(np.log1p(size)) for service, size in excess.items()}
        scores = unexplained_in(case.graph, strength)
        return ranking(scores, reasons, ranker=self.name)


def is_bad_count(window: SeriesWindow) -> bool:
    """Whether a series of a service counts what should not happen."""
    return (
        bool(window.service)
        and window.events is not None
        and measure_of_series(window) is Measure.ERRORS
    )


def surprise(window: SeriesWindow, handled: Mapping[int, float]) -> float:
    """Standard deviations by which the observed events exceed what the past makes likely, ≥ 0.

    They may have begun at any observed sample: what came since each is asked for, and the least
    likely answer counts, made as much likelier as there were questions.

    Args:
        window: A series with `events`.
        handled: Requests by time of sample; empty when they are not counted.
    """
    inside, usual = window.inside, window.usual
    events = _events(window)
    if not events[inside].any() or not usual.any():
        return 0.0
    exposed = _exposed(window, handled)
    seen, seen_in = _since(events[inside]), _since(exposed[inside])
    typical = _typical(window, events) * int(usual.sum()) / seen.size
    past, past_in = max(float(events[usual].sum()), typical), float(exposed[usual].sum())
    shares = seen_in / (seen_in + past_in)
    likely = betainc(np.maximum(seen, PRIOR), past + PRIOR, shares)[seen > 0]
    size = sigmas_of(min(1.0, float(likely.min()) * seen.size))
    return size / sqrt(_burstiness(events[usual], seen.size))


def _since(values: Values) -> Values:
    """The sum from each on to the last."""
    summed: Values = np.cumsum(values[::-1])[::-1]
    return summed


def sigmas_of(likely: float) -> float:
    """Standard deviations beyond which a normal tail is that likely, ≥ 0."""
    return max(0.0, -float(ndtri(likely))) if likely > 0 else MOST_SIGMAS


def as_robust(sigmas: float) -> float:
    """Robust standard deviations, whose tails are heavy, that are as unlikely as exact ones.

    At most half of the farthest move: errors show where a call fails, a service that is gone says
    more.

    >>> [round(as_robust(sigmas), 1) for sigmas in (0.0, 1.0, 2.0, 3.0, 4.0, 100.0)]
    [0.0, 1.1, 2.9, 6.6, 17.4, 50.0]
    """
    bounded = min(sigmas, 30.0)  # beyond, a tail is no longer told from nil
    return min(MOST_SIGMAS / 2, max(0.0, -float(stdtrit(TAILS, ndtr(-bounded)))))


def _events(window: SeriesWindow) -> Values:
    """Events by sample; none where they are unknown."""
    events = window.events if window.events is not None else np.empty(0)
    return np.where(np.isfinite(events), np.maximum(events, 0.0), 0.0)


def _exposed(window: SeriesWindow, handled: Mapping[int, float]) -> Values:
    """Requests handled at each sample; samples alike unless some are known of both spans."""
    requests = np.array([handled.get(int(at), 0.0) for at in window.timestamps_ms])
    known = requests[window.inside].any() and requests[window.usual].any()
    return requests + _FEW if known else np.ones(requests.size)


def _typical(window: SeriesWindow, events: Values) -> float:
    """Events in the middle one of all other stretches as long as what is observed."""
    others = ~window.inside & ~window.usual
    chosen = others if others.any() else window.usual
    counts = _stretches(events[chosen], int(window.inside.sum()))
    return float(np.median(counts)) if counts.size else 0.0


def _burstiness(past: Values, length: int) -> float:
    """Variance of the past over its mean, stretch by stretch; 1 for what comes independently."""
    counts = np.sort(_stretches(past, length))
    counts = counts[: max(1, int(np.ceil(_OUTAGES * counts.size)))]
    if counts.size < STRETCHES_MIN or not counts.mean():
        return 1.0
    return max(1.0, float(counts.var(ddof=1) / counts.mean()))


def _stretches(events: Values, length: int) -> Values:
    whole = events.size // length
    counts: Values = events[: whole * length].reshape(whole, length).sum(axis=1)
    return counts


def _handled(series: Sequence[SeriesWindow]) -> Mapping[str, Mapping[int, float]]:
    """Requests by service and time of sample, counted by its server spans or else its traffic."""
    spans: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    traffic: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for window in series:
        if window.events is None or measure_of_series(window) is not Measure.TRAFFIC:
            continue
        kind = window.labels.get("span_kind")
        if kind in (None, "server") and words_of(window.metric) & _REQUESTS:
            into = spans if kind else traffic
            for at, value in zip(window.timestamps_ms, _events(window), strict=True):
                into[window.service][int(at)] += float(value)
    return {**traffic, **spans}


def _reason(window: SeriesWindow, size: float) -> Reason:
    events = _events(window)
    seen, usual = events[window.inside], events[window.usual]
    text = (
        f"{window.metric} counted {seen.sum():.4g} in {seen.size} samples, "
        f"before {usual.sum():.4g} in {usual.size}"
    )
    return Reason(text=text, evidence_id=window.evidence_id, score=size)
