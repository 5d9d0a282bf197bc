"""Blames the service that ran short of a resource.

Uses CPU (or other resource measures) of each service, upwards only: starvation is local, so no
graph is walked. Cost: one sort per series. Weak when a victim works harder because of retries,
and blind to faults that use nothing.

>>> from services.explainer.model.case import Case, Subject
>>> ResourceShortage().rank(Case(subject=Subject(id="a1"))).suspects
()
"""

from dataclasses import dataclass

import numpy as np

from services.explainer.model.case import Case
from services.explainer.model.ranking import Ranking
from services.explainer.rankers.measures import Measure
from services.explainer.rankers.moves import moves_of, reasons_of
from services.explainer.rankers.ranking import ranking


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceShortage:
    """Largest rise of a resource measure."""

    measures: frozenset[Measure] = frozenset({Measure.CPU})
    name: str = "resource shortage"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        found = moves_of(case, self.measures)
        scores = {service: float(np.log1p(moves[0].size)) for service, moves in found.items()}
        return ranking(scores, reasons_of(found), ranker=self.name)
