"""Blames the caller whose callees stopped hearing from it.

Uses how much each service is called or receives. A service that answers with an error or gives
up early calls its callees less, while it is itself called as before; so a fall of traffic is
charged to the callers of those who miss it, as far as one caller explains all the falls and all
its callees miss it. Cost: one sort per series. Weak when load falls everywhere; blind without a
graph.

>>> from services.explainer.model.case import Case, Subject
>>> MissingCalls().rank(Case(subject=Subject(id="a1"))).suspects
()
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from services.explainer.model.case import Case
from services.explainer.model.ranking import Ranking
from services.explainer.model.windows import SeriesWindow
from services.explainer.rankers.deviation import deviation
from services.explainer.rankers.measures import Measure, measure_of_series
from services.explainer.rankers.moves import Move
from services.explainer.rankers.ranking import ranking

NOTICEABLE = 0.5
"""Share of its usual traffic that a service must miss to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingCalls:
    """How much of the missing traffic one caller explains."""

    name: str = "missing calls"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        lost: dict[str, Move] = {}
        for window in (w for w in case.series if w.service and "span_kind" not in w.labels):
            if measure_of_series(window) is Measure.TRAFFIC:
                fall = _fall(window)
                lost[window.service] = max(fall, lost.get(window.service, fall), key=_strength)
        missed = {service: _strength(move) for service, move in lost.items()}
        callees = {s: [c for c in case.graph.callees(s) if c in missed and c != s] for s in missed}
        scores = {service: _explains(service, callees[service], missed) for service in missed}
        reasons = {
            service: [lost[c].reason() for c in callees[service] if missed[c]] for service in missed
        }
        return ranking(scores, reasons, ranker=self.name)


def _fall(window: SeriesWindow) -> Move:
    return Move(window=window, measure=Measure.TRAFFIC, deviation=deviation(window, towards=-1))


def _strength(move: Move) -> float:
    found = move.deviation
    share = 1.0 - found.observed / found.baseline if found.baseline > 0 else 0.0
    return float(np.log1p(found.size)) * share if share > NOTICEABLE else 0.0


def _explains(service: str, callees: list[str], missed: Mapping[str, float]) -> float:
    below = [missed[c] for c in callees]
    if not below or sum(below) <= 0:
        return 0.0
    explained = sum(below) / sum(missed.values())
    agree = sum(m > 0 for m in below) / len(below)
    own = max(0.0, 1.0 - missed[service] / max(below))
    return max(below) * own * 2 * explained * agree / (explained + agree)
