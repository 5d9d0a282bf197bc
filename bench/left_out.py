"""What the weights of the rankers are worth on a system that they were not chosen on.

One system after the other is left out: the weights are chosen by the incidents of the others
alone and judged on it. Sets of one system belong together.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cli.rank.incidents import Incident
from services.explainer.model.ranking import Ranking
from services.explainer.rankers.confidence import shares
from services.explainer.rankers.router import Vote, Weights, decided, opinions

Ranks = dict[str, list[str]]
Scores = dict[str, float]
Scorer = Callable[[Ranks, Mapping[str, Any]], Scores]

GRID = [
    Weights(doubt=doubt, second=second)
    for doubt, second in itertools.product((0.0, 0.1, 0.25, 0.5, 1.0), (0.0, 0.05, 0.1, 0.2))
]


def left_out(
    incidents: Sequence[Incident], labels: Mapping[str, Any], score: Scorer
) -> dict[str, Scores]:
    """Scores by system, each with the weights that the other systems choose."""
    said = {incident.id: opinions(incident.case) for incident in incidents}
    by_system: dict[str, list[Incident]] = defaultdict(list)
    for incident in incidents:
        by_system[system_of(incident.collection)].append(incident)
    beliefs = {
        weights: {
            i.id: _belief(decided(i.case, said[i.id], weights), labels[i.id]) for i in incidents
        }
        for weights in GRID
    }
    found = {}
    for system, members in by_system.items():
        others = [i.id for i in incidents if i not in members]
        weights = max(GRID, key=lambda w: np.mean([beliefs[w][id] for id in others]))
        ranks = {i.id: _ranks(i, said[i.id], weights) for i in members}
        found[system] = score(ranks, {id: labels[id] for id in ranks})
    return found


def system_of(collection: str) -> str:
    """The system that a collection was recorded on.

    >>> system_of("nezha-trainticket-code"), system_of("petshop")
    ('nezha-trainticket', 'petshop')
    """
    return collection.removesuffix("-code")


def _ranks(incident: Incident, said: Sequence[Vote], weights: Weights) -> list[str]:
    return [suspect.entity for suspect in decided(incident.case, said, weights).suspects]


def _belief(found: Ranking, label: Mapping[str, Any]) -> float:
    """What is believed of the causes: unlike their place it tells nearly right from far off."""
    scores = [suspect.score for suspect in found.suspects]
    named = zip(found.suspects, shares(scores) if scores else [], strict=True)
    return sum(share for suspect, share in named if suspect.entity in label["root_cause"])
