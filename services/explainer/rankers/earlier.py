"""Blames a called service that went wrong before the errors of its caller began.

Uses any measure that is bad in one direction and who calls whom. Errors show where a call fails,
not where its cause lies: a service that answers slowly or runs out of memory makes its caller
fail, and has no errors of its own. A service is suspect by how far it had moved before the service
that shows the symptom first had errors, though a little less than that one is by its errors. Cost:
one sort per series. Blind without a graph, and where the steps of the samples hide who was first.
No recorded incident of the benchmark has such a symptom, so it may only cast a doubt.

>>> from services.explainer.model.case import Case, Subject
>>> EarlierCallee().rank(Case(subject=Subject(id="a1"))).suspects
()
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.explainer.model.case import Case
from services.explainer.model.ranking import Ranking
from services.explainer.rankers.deviation import USUAL_SIGMAS
from services.explainer.rankers.measures import BAD_DIRECTION, Measure
from services.explainer.rankers.moves import Move, moves_of, reasons_of
from services.explainer.rankers.ranking import ranking

FAR: Final = 10.0
"""Robust standard deviations that a called service must have moved: who is called by many is
early by chance, and then not far."""

WEIGHT: Final = 0.9
"""Who was earlier is a doubt about the service that has the errors, no proof against another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierCallee:
    """How far the services that the symptom depends on had moved before it."""

    name: str = "earlier callee"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        itself = case.subject.service
        found = moves_of(case, frozenset(BAD_DIRECTION))
        own = [each for each in found.get(itself, ()) if each.measure is Measure.ERRORS]
        since_ms = min((at for each in own if (at := _since(each)) is not None), default=None)
        if since_ms is None:
            return ranking({}, {}, ranker=self.name)
        early: dict[str, list[Move]] = {}
        for service in case.graph.distances(itself).keys() & found.keys() - {itself}:
            moves = [each for each in found[service] if each.size >= FAR]
            if moves := [each for each in moves if (_since(each) or since_ms) < since_ms]:
                early[service] = moves
        scores = {
            service: WEIGHT * float(np.log1p(min(own[0].size, moves[0].size)))
            for service, moves in early.items()
        }
        return ranking(scores, reasons_of(early), ranker=self.name)


def _since(move: Move) -> int | None:
    return move.deviation.change_ms if move.size >= USUAL_SIGMAS else None
