"""The form that rules fill: what an explanation says when no language model chooses. Pure."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from services.explainer.claims.advice import action_for
from services.explainer.claims.facts import Facts
from services.explainer.claims.form import (
    Abnormal,
    Act,
    Action,
    Alerted,
    Apart,
    Changed,
    Claim,
    Crossed,
    Delayed,
    Exhausted,
    Explains,
    ForExample,
    Form,
    Missing,
    Moved,
    Originated,
    Reached,
    Relieve,
    Rerouted,
    Silent,
    Similar,
    Steady,
)
from services.explainer.claims.verify import mechanism_of, verified
from services.explainer.model.case import Symptom
from services.explainer.model.evidence import Evidence, EvidenceKind

_EACH_MAX: Final = 3
"""Most sentences of one kind."""

_SERIES: Final = (EvidenceKind.MOVED_SERIES, EvidenceKind.LOG_ERRORS, EvidenceKind.TRACE_TIME)

_OF_TRACES: Final[dict[EvidenceKind, type[Originated | Rerouted | Delayed]]] = {
    EvidenceKind.ORIGIN_ERRORS: Originated,
    EvidenceKind.CALL_SHAPE: Rerouted,
    EvidenceKind.CALL_WAIT: Delayed,
}


def default_form(facts: Facts) -> Form:
    """The same facts give the same form; all of it holds."""
    return Form(claims=tuple(verified(_claims(facts), facts)))


def completed(claims: Sequence[Claim], facts: Facts) -> list[Claim]:
    """Chosen claims with what the subject is, and the cause and advice where they have none."""
    own = [each for each in verified(_own(facts), facts) if each not in claims]
    found = [*own, *claims]
    for claim in default_form(facts).claims:
        needed = isinstance(claim, (Explains, Act))
        if needed and not any(isinstance(each, type(claim)) for each in claims):
            found.append(claim)
    return found


def _claims(facts: Facts) -> Iterator[Claim]:
    yield from _cause(facts)
    yield from _own(facts)
    is_silent = any(isinstance(each, Silent) for each in _own(facts))
    cited = {id for each in _cause(facts) if isinstance(each, Explains) for id in each.because}
    for piece in facts.of_kind(EvidenceKind.SUBJECT_SERIES):
        if piece.evidence_id not in cited:
            said = _of_subject(piece, facts)
            yield from (each for each in said if not (is_silent and isinstance(each, Silent)))
    yield from (ForExample(p.evidence_id) for p in facts.evidence if p.is_sampled)
    for piece in facts.evidence:
        if piece.is_exhausted and piece.evidence_id not in cited and facts.is_tied(piece):
            yield Exhausted(piece.evidence_id)
            yield Relieve(piece.evidence_id)
    bounds = [p for p in facts.of_kind(EvidenceKind.THRESHOLD) if not facts.is_own(p)]
    yield from (Crossed(id) for id in _first(bounds))
    changes = _first(_changes(facts))
    late = [id for id in changes if (p := facts.piece(id)) and facts.is_late(p)]
    yield from (Changed(id) for id in changes if id not in (*cited, *late))
    yield from _of_traces(facts, cited)
    others = [p for p in facts.of_kind(*_SERIES) if p.evidence_id not in cited]
    moved = [p for p in others if p.has_moved and not p.is_exhausted]
    yield from (Moved(id) for id in _first(moved))
    yield from (Abnormal(id) for id in _first(facts.of_kind(EvidenceKind.ANOMALY)))
    yield from (Changed(id) for id in late if id not in cited)
    yield from (Alerted(id) for id in _first(facts.of_kind(EvidenceKind.ALERT)))
    yield from (Similar(id) for id in _first(facts.of_kind(EvidenceKind.PAST_INCIDENT)))
    yield from (Missing(p.evidence_id) for p in facts.of_kind(EvidenceKind.MISSING))


def _cause(facts: Facts) -> Iterator[Claim]:
    """The first suspect by what stands behind it, and what to do about it."""
    if not facts.suspects:
        return
    named = facts.suspects[0]
    behind = facts.behind(named)
    measured = [p for p in behind if _shows(p)] or behind
    if not measured:
        return
    first, target = measured[0], facts.suspect_ids[0]
    change = next(iter(facts.changes_of(named)), None)
    because = [first.evidence_id, *([change.evidence_id] if change and change != first else [])]
    yield Explains(target, mechanism_of(first), tuple(because))
    if change is not None:
        yield Act(Action.UNDO_CHANGE, target, (change.evidence_id,))
    action = action_for(first, mechanism_of(first)) if _shows(first) else Action.COMPARE
    yield Act(action, target, (first.evidence_id,))


def _shows(piece: Evidence) -> bool:
    return piece.has_moved or piece.is_exhausted or piece.is_counted


def _of_traces(facts: Facts, cited: Collection[str]) -> Iterator[Claim]:
    """An example of what the cause shows first, then what else traces do other than usual."""
    tied = [piece for piece in facts.of_kind(*_OF_TRACES) if facts.is_tied(piece)]
    failing = {p.labels.get("service") for p in tied if p.kind is EvidenceKind.ORIGIN_ERRORS}
    services = {facts.suspects[0].suspect.entity} if facts.suspects else failing
    examples = [p for p in facts.of_kind(EvidenceKind.EXAMPLE) if not p.is_sampled]
    examples = [piece for piece in examples if piece.labels.get("service") in services]
    yield from (ForExample(id) for id in _first(examples)[:1])
    for kind, claim in _OF_TRACES.items():
        pieces = [p for p in tied if p.kind is kind and p.evidence_id not in cited]
        yield from (claim(id) for id in _first(pieces))


def _own(facts: Facts) -> Iterator[Claim]:
    """The subject itself: its value beside what was expected of it, or its bound."""
    for piece in facts.own:
        if piece.kind is EvidenceKind.THRESHOLD:
            yield Crossed(piece.evidence_id)
        else:
            silent = piece.figure("silent") or piece.figure("silent_series")
            yield Silent(piece.evidence_id) if silent else Abnormal(piece.evidence_id)


def _of_subject(piece: Evidence, facts: Facts) -> Iterator[Claim]:
    silent = piece.figure("silent_before_event")
    if silent and (facts.subject.symptom is Symptom.ABSENCE or not piece.has_moved):
        yield Silent(piece.evidence_id)
    elif piece.has_moved:
        yield Moved(piece.evidence_id)
    elif piece.is_outside:
        yield Reached(piece.evidence_id)
    else:
        yield Apart(piece.evidence_id) if piece.is_apart else Steady(piece.evidence_id)


def _changes(facts: Facts) -> list[Evidence]:
    """Those of services that are tied to the subject: before its onset, the closest first."""
    found = [piece for piece in facts.of_kind(EvidenceKind.CHANGE) if facts.is_tied(piece)]
    return sorted(found, key=lambda p: (facts.is_late(p), abs(facts.onset_ms - p.start_ms)))


def _first(pieces: Sequence[Evidence]) -> list[str]:
    return [each.evidence_id for each in pieces[:_EACH_MAX]]
