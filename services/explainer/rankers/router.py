"""Picks the evidence that suits the symptom and lets the strongest of it decide.

Adding everything up is worse than the best single source, so a service is as suspect as the
strongest opinion on it; the others only break ties. Opinions that do not suit the symptom count
less.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from services.explainer.model.case import Case, Symptom
from services.explainer.model.ranking import Ranking, Reason
from services.explainer.rankers.earlier import EarlierCallee
from services.explainer.rankers.hops import SlowHops
from services.explainer.rankers.largest import LargestDeviation
from services.explainer.rankers.measures import Measure
from services.explainer.rankers.missing import MissingCalls
from services.explainer.rankers.omitted import OmittedCalls
from services.explainer.rankers.protocol import Ranker
from services.explainer.rankers.ranking import ranking
from services.explainer.rankers.resource import ResourceShortage
from services.explainer.rankers.symptoms import symptoms_of
from services.explainer.rankers.timelost import TimeLost
from services.explainer.rankers.walk import GraphWalk

LATENCY = GraphWalk(measures=frozenset({Measure.SERVER_LATENCY}), name="latency walk")
ERRORS = GraphWalk(measures=frozenset({Measure.ERRORS}), name="error walk")
AVAILABILITY = GraphWalk(measures=frozenset({Measure.AVAILABILITY}), name="availability walk")
SLOW: tuple[Ranker, ...] = (TimeLost(), SlowHops(), LATENCY, ResourceShortage())
BROKEN: tuple[Ranker, ...] = (AVAILABILITY, ERRORS, MissingCalls(), OmittedCalls())

PRESSURE: tuple[Ranker, ...] = (
    ResourceShortage(measures=frozenset({Measure.CPU, Measure.MEMORY, Measure.HOST})),
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
    Symptom.UNKNOWN: (LargestDeviation(),),
}
"""Rankers that suit a symptom; UNKNOWN is that of a metric whose name tells nothing."""

GENERAL = SLOW + BROKEN
"""Rankers that are always asked."""

UNSUITED = 0.25
"""Weight of what the other rankers say: a fault of one kind often shows in another."""

SECOND_OPINION = 0.1
"""What the other rankers add to the strongest one's score."""

SUSPECT_ITSELF = 0.1
"""Score of the service that shows the symptom, when nothing else explains it."""

UNTIED = 0.5
"""What a suspicion is worth when the subject has no label in common with any series."""

SAYS_NO_PLACE = frozenset({"alertname", "severity", "prometheus", "__name__"})
"""Labels that tell what an alert is, not where."""

SHOWS_IT = 0.05
"""What puts the service that shows the symptom ahead of others that look alike."""


def rank(case: Case) -> Ranking:
    """Suspects of `case`, best first; the rankers that suit its symptoms speak with full weight.

    When none finds anything, the largest deviation decides.
    """
    suited = list(dict.fromkeys(r for s in sorted(symptoms_of(case)) for r in ROUTES[s]))
    others = [ranker for ranker in GENERAL if ranker not in suited]
    weighted = [(ranker.rank(case), 1.0) for ranker in suited]
    weighted += [(ranker.rank(case), UNSUITED if suited else 1.0) for ranker in others]
    merged = merge(weighted, itself=case.subject.service)
    if not merged.suspects or merged.suspects[0].score <= SUSPECT_ITSELF:
        merged = LargestDeviation().rank(case)
    return merged if is_tied(case) else doubted(merged)


def is_tied(case: Case) -> bool:
    """Whether more than the time ties the subject to what is known of services."""
    subject = case.subject
    told = {name: value for name, value in subject.labels.items() if name not in SAYS_NO_PLACE}
    return (
        not subject.labels
        or any(subject.service in edge for edge in case.graph.edges)
        or any(
            subject.service == window.service
            or subject.metric == window.metric
            or told.items() & window.labels.items()
            for window in case.series
        )
    )


def doubted(found: Ranking) -> Ranking:
    """The same suspects, half as likely: what happened at the same time may be another matter."""
    suspects = tuple(replace(s, confidence=UNTIED * s.confidence) for s in found.suspects)
    reason = f"{found.reason}; only the time ties it to the event"
    confidence = UNTIED * found.confidence
    return replace(found, suspects=suspects, confidence=confidence, reason=reason)


def merge(weighted: Iterable[tuple[Ranking, float]], *, itself: str = "") -> Ranking:
    """The strongest opinion on each service, and a little of the others.

    Args:
        weighted: What each ranker says, and how much it counts.
        itself: The service that shows the symptom.
    """
    opinions: dict[str, list[float]] = defaultdict(list)
    reasons: dict[str, list[Reason]] = defaultdict(list)
    strongest = ("", 0.0)
    if itself:
        opinions[itself].append(SUSPECT_ITSELF)
    for each, weight in weighted:
        for suspect in each.suspects:
            opinions[suspect.entity].append(weight * suspect.score)
            reasons[suspect.entity] += suspect.reasons
        top = weight * each.suspects[0].score if each.suspects else 0.0
        strongest = max(strongest, (each.ranker, top), key=lambda s: s[1])
    scores = {
        entity: max(said) + SECOND_OPINION * (sum(said) - max(said))
        for entity, said in opinions.items()
    }
    if scores.get(itself, 0.0) > SUSPECT_ITSELF:
        scores[itself] += SHOWS_IT
    told = {entity: _each_once(said) for entity, said in reasons.items()}
    return ranking(scores, told, ranker=strongest[0])


def _each_once(reasons: Iterable[Reason]) -> list[Reason]:
    """In the order in which they came, of equal ones the strongest."""
    once: dict[tuple[str, str], Reason] = {}
    for each in reasons:
        key = each.text, each.evidence_id
        once[key] = max(once.get(key, each), each, key=lambda reason: reason.score)
    return list(once.values())
