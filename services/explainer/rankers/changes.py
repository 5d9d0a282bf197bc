"""Blames the change that brought the symptom, or says that none did.

Uses when changes took effect, where, and their text, against when and where the symptom began
and what the logs say. A suspect took effect shortly before the symptom, in a service that shows
it, and its difference either weakens a protection or speaks of what failed. Signs that the
surroundings failed (machines, name resolution, a surge of load) outweigh mere likeness of
words. Cost: words of all changes. Weak when faults take hours to show, and for changes that
nobody recorded.

>>> from services.explainer.model.case import Case, Subject
>>> SuspectChange().rank(Case(subject=Subject(id="a1"))).abstained
True
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.explainer.model.case import Case, Change
from services.explainer.model.ranking import Ranking, Reason, Suspect
from services.explainer.model.windows import SeriesWindow
from services.explainer.rankers.deviation import USUAL_SIGMAS, deviation
from services.explainer.rankers.diffs import harmless, weakens
from services.explainer.rankers.measures import Measure, measure_of_series
from services.explainer.rankers.moves import Move, move_of
from services.explainer.rankers.wording import shared_terms

LONGEST_LAG_MS = 15 * 60_000
"""A change that was in effect longer than this before the symptom is not its cause."""

ELSEWHERE = 0.6
"""Weight of a change in a service other than the one that shows the symptom."""

HALF_TERMS = 5.0
"""Weight of shared words that persuades half."""

SURGE = 1.5
"""Load at this multiple of the usual is a cause of its own."""

ENOUGH, CLEAR = 0.5, 0.1
"""Least score to be named, and least lead over the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectChange:
    """One score per change in effect; entities of the ranking are ids of changes."""

    name: str = "suspect change"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        if not case.changes:
            return _ranking([], self.name)
        moves = _moves(case.series)
        onset_ms = _onset_ms(case, moves)
        live = [c for c in case.changes if 0 <= onset_ms - c.at_ms <= LONGEST_LAG_MS]
        hurt = _hurt(case, moves)
        scored = [
            (_score(change, case, moves), change)
            for change in live
            if change.kind != "commit" and change.service in hurt
        ]
        return _ranking(sorted(scored, key=lambda s: (-s[0], s[1].id)), self.name)


def _moves(series: Sequence[SeriesWindow]) -> list[Move]:
    moves = [move_of(window, measure_of_series(window)) for window in series]
    return [m for m in moves if m.size > USUAL_SIGMAS and m.deviation.change_ms is not None]


def _onset_ms(case: Case, moves: Sequence[Move]) -> int:
    own = [m for m in moves if m.window.service == case.subject.service]
    begun = [m.deviation.change_ms for m in own or moves if m.deviation.change_ms is not None]
    return min(begun, default=case.subject.started_ms)


def _hurt(case: Case, moves: Sequence[Move]) -> frozenset[str]:
    spoke = {p.service for p in case.log_patterns if p.negative and p.delta > 0}
    return frozenset({case.subject.service, *spoke, *(m.window.service for m in moves)})


def _score(change: Change, case: Case, moves: Sequence[Move]) -> float:
    if harmless(change.files, change.diff):
        return 0.0
    place = 1.0 if change.service == case.subject.service else ELSEWHERE
    weak = weakens(change.diff)
    if not weak and _surroundings(case, moves):
        return 0.0
    weight = shared_terms(_text(change), _said(case, moves), map(_text, case.changes))
    return place * (float(weak) + weight / (weight + HALF_TERMS))


def _surroundings(case: Case, moves: Sequence[Move]) -> bool:
    """Whether machines, name resolution or the load itself left their usual range."""
    if any(m.measure is Measure.HOST for m in moves):
        return True
    loads = [
        deviation(window, towards=1)
        for window in case.series
        if measure_of_series(window) is Measure.TRAFFIC and window.service == case.subject.service
    ]
    return any(d.size > USUAL_SIGMAS and d.observed > SURGE * d.baseline for d in loads)


def _said(case: Case, moves: Sequence[Move]) -> list[str]:
    lines = [p.text for p in case.log_patterns if p.negative and p.delta > 0]
    return [*lines, *(m.window.metric for m in moves)]


def _text(change: Change) -> str:
    return " ".join([change.text, *change.files, change.diff])


def _ranking(scored: Sequence[tuple[float, Change]], ranker: str) -> Ranking:
    best = scored[0][0] if scored else 0.0
    second = scored[1][0] if len(scored) > 1 else 0.0
    named = best >= ENOUGH and best - second >= CLEAR
    confidence = min(1.0, best) * best / (best + second) if named else 0.0
    suspects = tuple(
        Suspect(
            entity=change.id,
            rank=place,
            score=score,
            confidence=confidence
            if place == 1
            else min(1.0, score) * score / (best + second or 1.0),
            reasons=(_reason(change, score),),
        )
        for place, (score, change) in enumerate(scored, start=1)
    )
    why = f"{scored[0][1].kind} {scored[0][1].id}" if named else "no change explains the symptom"
    return Ranking(
        suspects=suspects, confidence=confidence, abstained=not named, reason=why, ranker=ranker
    )


def _reason(change: Change, score: float) -> Reason:
    return Reason(
        text=f"{change.kind} in {change.service} took effect shortly before the symptom",
        evidence_id=change.evidence_id,
        score=score,
    )
