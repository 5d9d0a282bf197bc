"""Blames the network or the queue in front of a service, seen from both ends of its calls.

Uses the latency of the same calls measured by the caller and by the service called. What the
caller waits longer than usual is charged to the service called, less what the same caller waits
for its other callees: then the caller itself is slow. Cost: one sort per series. Weak when only
one caller and one callee exist; blind without client-side latency per caller (`peer`).

>>> from services.explainer.model.case import Case, Subject
>>> SlowHops().rank(Case(subject=Subject(id="a1"))).suspects
()
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from services.explainer.model.case import Case
from services.explainer.model.ranking import Ranking
from services.explainer.rankers.measures import Measure
from services.explainer.rankers.moves import moves_of, reasons_of
from services.explainer.rankers.ranking import ranking


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowHops:
    """Mean over the callers of what each waits for this service alone."""

    name: str = "slow hops"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        found = moves_of(
            case, frozenset({Measure.CLIENT_LATENCY}), wanted=lambda w: bool(w.labels.get("peer"))
        )
        waits: dict[str, dict[str, float]] = defaultdict(dict)
        for callee, moves in found.items():
            for move in moves:
                caller = move.window.labels["peer"]
                size = max(float(np.log1p(move.size)), waits[caller].get(callee, 0.0))
                waits[caller][callee] = size
        scores = {callee: _charge(callee, waits) for callee in found}
        return ranking(scores, reasons_of(found), ranker=self.name)


def _charge(callee: str, waits: Mapping[str, Mapping[str, float]]) -> float:
    return float(np.mean([alone(callee, by) for by in waits.values() if callee in by]))


def alone(callee: str, waited: Mapping[str, float]) -> float:
    """What a caller waits for `callee` beyond the median of what it waits for the others.

    >>> alone("db", {"db": 5.0, "cache": 1.0, "queue": 2.0})
    3.5
    """
    others = [w for service, w in waited.items() if service != callee]
    return max(0.0, waited[callee] - (float(np.median(others)) if others else 0.0))
