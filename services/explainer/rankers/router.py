"""Picks the evidence that suits the symptom and lets the strongest of it decide.

Adding everything up is worse than the best single source, so a service is as suspect as the
strongest opinion on it; the others only break ties. Opinions that do not suit the symptom count
less.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from services.explainer.model.case import Case, Symptom
from services.explainer.model.ranking import Ranking, Reason
from services.explainer.rankers.counts import RareEvents, is_bad_count
from services.explainer.rankers.deploys import NearDeploy
from services.explainer.rankers.deviation import MOST_SIGMAS, USUAL_SIGMAS
from services.explainer.rankers.earlier import EarlierCallee
from services.explainer.rankers.hops import SlowHops
from services.explainer.rankers.largest import LargestDeviation
from services.explainer.rankers.lines import NewLogPatterns
from services.explainer.rankers.measures import (
    BAD_DIRECTION,
    Measure,
    measure_of_series,
    symptom_of,
)
from services.explainer.rankers.missing import MissingCalls
from services.explainer.rankers.moves import move_of
from services.explainer.rankers.omitted import OmittedCalls
from services.explainer.rankers.origins import FirstToFail
from services.explainer.rankers.paths import PathChanged
from services.explainer.rankers.protocol import Ranker
from services.explainer.rankers.ranking import ranking
from services.explainer.rankers.resource import ResourceShortage
from services.explainer.rankers.saturation import Saturation
from services.explainer.rankers.ties import ties_of
from services.explainer.rankers.timelost import TimeLost
from services.explainer.rankers.waits import LongerWaits
from services.explainer.rankers.walk import GraphWalk

LATENCY = GraphWalk(measures=frozenset({Measure.SERVER_LATENCY}), name="latency walk")
ERRORS = GraphWalk(
    measures=frozenset({Measure.ERRORS}), name="error walk", wanted=lambda w: not is_bad_count(w)
)
AVAILABILITY = GraphWalk(measures=frozenset({Measure.AVAILABILITY}), name="availability walk")
SLOW: tuple[Ranker, ...] = (TimeLost(), SlowHops(), LATENCY, ResourceShortage(), Saturation())
BROKEN: tuple[Ranker, ...] = (
    Saturation(),
    RareEvents(),
    AVAILABILITY,
    ERRORS,
    MissingCalls(),
    OmittedCalls(),
)

PRESSURE: tuple[Ranker, ...] = (
    ResourceShortage(measures=frozenset({Measure.CPU, Measure.MEMORY, Measure.HOST})),
    Saturation(),
)
QUIET: tuple[Ranker, ...] = (
    MissingCalls(),
    LargestDeviation(measures=frozenset({Measure.TRAFFIC}), name="largest change of traffic"),
)

ROUTES: dict[Symptom, tuple[Ranker, ...]] = {
    Symptom.LATENCY: SLOW,
    Symptom.ERRORS: (*BROKEN, EarlierCallee()),
    Symptom.AVAILABILITY: BROKEN,
    Symptom.RESOURCE: PRESSURE,
    Symptom.TRAFFIC: QUIET,
    Symptom.ABSENCE: (AVAILABILITY, *QUIET),
    Symptom.UNKNOWN: (LargestDeviation(), Saturation()),
}
"""Rankers that suit a symptom; UNKNOWN is that of a metric whose name tells nothing."""

GENERAL = SLOW + BROKEN
"""Rankers that are always asked."""

TRACED: tuple[Ranker, ...] = (
    FirstToFail(),
    PathChanged(),
    LongerWaits(),
    NewLogPatterns(),
    NearDeploy(),
)
"""Rankers of whole traces: what is wrong in these is wrong, whatever the symptom is about."""

COARSE: tuple[Ranker, ...] = (LATENCY,)
"""Rankers that say less where traces tell which call took how long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How opinions are weighed; `make bench-explain` prints what they cost on a system left out.

    Attributes:
        doubt: Of rankers that do not suit the symptom, for one fault often shows in another way,
            and of those that say less where there are traces.
        second: What the other rankers add to the strongest one's score.
    """

    doubt: float = 0.25
    second: float = 0.1


WEIGHTS = Weights()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one ranker says of a case, and how far it is to be trusted there."""

    ranking: Ranking
    is_doubtful: bool

    def weight(self, weights: Weights) -> float:
        """How much it counts."""
        return weights.doubt if self.is_doubtful else 1.0


HIGHEST = float(np.log1p(MOST_SIGMAS))
"""No opinion counts more than that of the farthest move."""

SUSPECT_ITSELF = 0.1
"""Score of the service that shows the symptom, when nothing else explains it."""

SHOWS_IT = 0.05
"""What puts the service that shows the symptom ahead of others that look alike."""


def rank(case: Case) -> Ranking:
    """Suspects of `case`, best first; the rankers that suit its symptoms speak with full weight.

    When none finds anything, the largest deviation decides.
    """
    return decided(case, opinions(case), WEIGHTS)


def opinions(case: Case) -> list[Vote]:
    """What each ranker says that has something to say of such a case."""
    suited = list(dict.fromkeys(r for s in sorted(symptoms_of(case)) for r in ROUTES[s]))
    traced = any("span_kind" in window.labels for window in case.series)
    traced |= bool(case.traces.calls)
    return [
        Vote(
            ranking=ranker.rank(case),
            is_doubtful=bool(suited and ranker not in (*suited, *TRACED))
            or (traced and ranker in COARSE),
        )
        for ranker in dict.fromkeys((*suited, *GENERAL, *TRACED))
    ]


def symptoms_of(case: Case) -> frozenset[Symptom]:
    """The subject's symptom; without a metric those that series of no service show.

    Empty when nothing tells.
    """
    if case.subject.symptom is not Symptom.UNKNOWN or case.subject.metric:
        return frozenset({case.subject.symptom})
    found = set()
    for window in case.series:
        measure = measure_of_series(window)
        of_system = not window.service and measure in BAD_DIRECTION
        if of_system and move_of(window, measure).size > USUAL_SIGMAS:
            found.add(symptom_of(window.metric))
    return frozenset(found)


def decided(case: Case, said: Iterable[Vote], weights: Weights) -> Ranking:
    """The ranking that these opinions come to."""
    weighted = [(each.ranking, each.weight(weights)) for each in said]
    merged = merge(weighted, itself=case.subject.service, second=weights.second)
    if not merged.suspects or merged.suspects[0].score <= SUSPECT_ITSELF:
        merged = LargestDeviation().rank(case)
    return tied(merged, ties_of(case))


def tied(found: Ranking, ties: Mapping[str, float]) -> Ranking:
    """The same suspects as far as they are tied to the subject."""
    if all(ties.get(each.entity, 1.0) == 1.0 for each in found.suspects):
        return found
    scores = {each.entity: each.score * ties.get(each.entity, 1.0) for each in found.suspects}
    reasons = {each.entity: each.reasons for each in found.suspects}
    kept = ranking(scores, reasons, ranker=found.ranker)
    if kept.abstained and not found.abstained:
        return replace(kept, reason="what moved is tied to the subject by its time alone")
    return kept


def merge(
    weighted: Iterable[tuple[Ranking, float]], *, itself: str = "", second: float = WEIGHTS.second
) -> Ranking:
    """The strongest opinion on each service, and a little of the others.

    Args:
        weighted: What each ranker says, and how much it counts.
        itself: The service that shows the symptom.
        second: See `Weights`.
    """
    scored: dict[str, list[float]] = defaultdict(list)
    reasons: dict[str, list[Reason]] = defaultdict(list)
    strongest = ("", 0.0)
    if itself:
        scored[itself].append(SUSPECT_ITSELF)
    for each, weight in weighted:
        for suspect in each.suspects:
            scored[suspect.entity].append(min(weight * suspect.score, HIGHEST))
            reasons[suspect.entity] += suspect.reasons
        top = weight * each.suspects[0].score if each.suspects else 0.0
        strongest = max(strongest, (each.ranker, top), key=lambda s: s[1])
    scores = {
        entity: max(said) + second * (sum(said) - max(said)) for entity, said in scored.items()
    }
    if scores.get(itself, 0.0) > SUSPECT_ITSELF:
        scores[itself] += SHOWS_IT
    merged = {entity: _each_once(said) for entity, said in reasons.items()}
    return ranking(scores, merged, ranker=strongest[0])


def _each_once(reasons: Iterable[Reason]) -> list[Reason]:
    """In the order in which they came, of equal ones the strongest."""
    once: dict[tuple[str, str], Reason] = {}
    for each in reasons:
        key = each.text, each.evidence_id
        once[key] = max(once.get(key, each), each, key=lambda reason: reason.score)
    return list(once.values())
