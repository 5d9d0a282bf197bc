"""Walks the call graph from the symptom to the service that explains it.

Uses one measure (latency, errors, availability) of every service and who calls whom. A service
is suspect by how far its measure moved the bad way, less what the services it calls explain,
times the share of all that moved which depends on it: one cause should account for the whole
picture. After the traversals of CauseInfer (Chen et al., 2014) and MicroHECL (Liu et al.,
2021), with graded scores in place of a threshold. Cost: one sort per series, edges x services
for the graph. Weak where the graph lacks the culprit, or where callee and caller are seen
through one measure only.

>>> from services.explainer.model.case import Case, Subject
>>> walk = GraphWalk(measures=frozenset({Measure.SERVER_LATENCY}))
>>> walk.rank(Case(subject=Subject(id="a1"))).abstained
True
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from services.explainer.model.case import Case, ServiceGraph
from services.explainer.model.ranking import Ranking
from services.explainer.rankers.measures import Measure
from services.explainer.rankers.moves import (
    Wanted,
    any_series,
    moves_of,
    reasons_of,
    unexplained_in,
)
from services.explainer.rankers.ranking import ranking

UNREACHABLE = 0.01
"""Weight of a service that the symptom does not depend on: last, yet in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphWalk:
    """One measure over the call graph."""

    measures: frozenset[Measure]
    name: str = "graph walk"
    wanted: Wanted = any_series

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        found = moves_of(case, self.measures, self.wanted)
        strength = {service: float(np.log1p(m[0].size)) for service, m in found.items()}
        within = _depended_on(case) or strength.keys()
        own = unexplained_in(case.graph, strength)
        scores = {
            service: own[service]
            * coverage(service, strength, case.graph)
            * (1.0 if service in within else UNREACHABLE)
            for service in strength
        }
        return ranking(scores, reasons_of(found), ranker=self.name)


def _depended_on(case: Case) -> frozenset[str]:
    """Services the symptom may come from; empty when the graph does not tell."""
    reached = case.graph.distances(case.subject.service)
    return frozenset(reached) if len(reached) > 1 else frozenset()


def coverage(service: str, strength: Mapping[str, float], graph: ServiceGraph) -> float:
    """Share of all strength that lies on `service` and on what depends on it, 0..1."""
    total = sum(strength.values())
    return sum(strength.get(s, 0.0) for s in graph.dependents(service)) / total if total else 0.0
