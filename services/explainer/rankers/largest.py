"""Blames the service whose series moved farthest, either way.

Uses every series alike: no graph, no direction, no routing. Cost: one sort per series. Weak
where a victim moves farther than the culprit; the last resort when nothing that can be routed
was observed.

>>> from services.explainer.model.case import Case, Subject
>>> LargestDeviation().rank(Case(subject=Subject(id="a1"))).suspects
()
"""

from dataclasses import dataclass

import numpy as np

from services.explainer.model.case import Case
from services.explainer.model.ranking import Ranking
from services.explainer.rankers.deviation import deviation
from services.explainer.rankers.measures import Measure, measure_of_series
from services.explainer.rankers.moves import Move, reasons_of
from services.explainer.rankers.ranking import ranking


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestDeviation:
    """The largest deviation of any metric, or of metrics of these measures only."""

    measures: frozenset[Measure] = frozenset(Measure)
    name: str = "largest deviation"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        found: dict[str, list[Move]] = {}
        for window in (w for w in case.series if w.service):
            measure = measure_of_series(window)
            if measure in self.measures:
                move = Move(window=window, measure=measure, deviation=deviation(window))
                found.setdefault(window.service, []).append(move)
        scores = {s: float(np.log1p(max(m.size for m in moves))) for s, moves in found.items()}
        return ranking(scores, reasons_of(found), ranker=self.name)
