"""Which claims hold: one predicate per kind of claim over the facts. Pure.

What does not hold is dropped, whoever claimed it. A predicate asks for everything that the
rendered sentence says.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from services.explainer.claims.advice import fits_action
from services.explainer.claims.facts import Facts
from services.explainer.claims.form import (
    Abnormal,
    Act,
    Alerted,
    Apart,
    Calls,
    Changed,
    Claim,
    Crossed,
    Delayed,
    Exhausted,
    Explains,
    ForExample,
    Mechanism,
    Missing,
    Moved,
    Originated,
    Preceded,
    Reached,
    Relieve,
    Rerouted,
    Silent,
    Similar,
    Steady,
)
from services.explainer.model.evidence import LOOKED_FOR, Evidence, EvidenceKind
from services.explainer.model.traces import Reason
from services.explainer.rankers.measures import Measure, measure_of

_MECHANISM_OF: Final = {
    Measure.ERRORS: Mechanism.ERRORS,
    Measure.AVAILABILITY: Mechanism.UNAVAILABILITY,
    Measure.CPU: Mechanism.CPU,
    Measure.MEMORY: Mechanism.MEMORY,
    Measure.TRAFFIC: Mechanism.TRAFFIC,
    Measure.HOST: Mechanism.MACHINE,
    Measure.OTHER: Mechanism.OTHER,
}


def verified(claims: Iterable[Claim], facts: Facts) -> list[Claim]:
    """The claims that hold, each once, in the same order; one cause at most."""
    held: list[Claim] = []
    for claim in claims:
        again = claim in held or (isinstance(claim, Explains) and _has_cause(held))
        if not again and holds(claim, facts):
            held.append(claim)
    return held


def holds(claim: Claim, facts: Facts) -> bool:
    """Whether everything that a claim says is true of the facts."""
    predicate: Callable[[Any, Facts], bool] = _PREDICATES[type(claim)]
    return predicate(claim, facts)


def mechanism_of(piece: Evidence) -> Mechanism:
    """How what a piece shows brings something about."""
    if piece.kind is EvidenceKind.CHANGE:
        return Mechanism.CHANGE
    if piece.is_exhausted:
        return Mechanism.EXHAUSTION
    if piece.is_counted:
        return _mechanism_of_traces(piece)
    measure = measure_of(piece.labels.get("__name__", ""))
    return _MECHANISM_OF.get(measure, Mechanism.SLOWNESS)


def _mechanism_of_traces(piece: Evidence) -> Mechanism:
    if piece.kind is EvidenceKind.CALL_SHAPE:
        return Mechanism.OTHER
    if piece.kind is EvidenceKind.CALL_WAIT:
        return Mechanism.SLOWNESS
    unreachable = piece.labels.get("reason") == Reason.UNREACHABLE
    return Mechanism.UNAVAILABILITY if unreachable else Mechanism.ERRORS


def _has_cause(held: Sequence[Claim]) -> bool:
    return any(isinstance(each, Explains) for each in held)


def _explains(claim: Explains, facts: Facts) -> bool:
    """The cause is the first suspect, by its own evidence, and no later than its effect."""
    named = facts.suspect(claim.suspect)
    if named is None or named is not facts.suspects[0]:
        return False
    behind = {piece.evidence_id: piece for piece in facts.behind(named)}
    beside = {piece.evidence_id: piece for piece in facts.changes_of(named)}
    if not claim.because or any(id not in behind | beside for id in claim.because):
        return False
    first = (behind | beside)[claim.because[0]]
    if mechanism_of(first) is not claim.mechanism:
        return False
    return not claim.effect or _shows_later(claim.effect, first, facts)


def _shows_later(effect: str, cause: Evidence, facts: Facts) -> bool:
    piece = facts.piece(effect)
    if piece is None or piece.kind is not EvidenceKind.SUBJECT_SERIES or not piece.has_moved:
        return False
    begun, shown = facts.begun_ms(cause), facts.begun_ms(piece)
    return piece is not cause and begun is not None and shown is not None and begun <= shown


def _steady(piece: Evidence, facts: Facts) -> bool:
    if not piece.is_measured or piece.has_moved or piece.is_exhausted:
        return False
    if piece.is_apart or piece.is_outside or _is_abnormal(piece, facts):
        return False
    return not piece.figure("silent_before_event")


def _is_abnormal(piece: Evidence, facts: Facts) -> bool:
    """Whether a series is the one in which the detector found the subject."""
    return any(
        each.kind is EvidenceKind.ANOMALY and each.labels == piece.labels for each in facts.own
    )


def _preceded(claim: Preceded, facts: Facts) -> bool:
    first, second = facts.piece(claim.first), facts.piece(claim.second)
    if first is None or second is None:
        return False
    begun, then = facts.begun_ms(first), facts.begun_ms(second)
    return begun is not None and then is not None and begun < then


def _calls(claim: Calls, facts: Facts) -> bool:
    return (facts.entity(claim.caller), facts.entity(claim.callee)) in facts.calls


def _originated(piece: Evidence) -> bool:
    """More errors began there than are due."""
    if piece.kind is not EvidenceKind.ORIGIN_ERRORS:
        return False
    errors, due = piece.figure("errors"), piece.figure("expected")
    return bool(errors and due and piece.figure("requests") and errors.value > due.value)


def _rerouted(piece: Evidence) -> bool:
    """The answers by these calls are a larger share than they were."""
    if piece.kind is not EvidenceKind.CALL_SHAPE:
        return False
    shares = ("answers", "all_answers"), ("usual_answers", "all_usual_answers")
    found = [(piece.figure(part), piece.figure(whole)) for part, whole in shares]
    values = [(part.value, whole.value) for part, whole in found if part and whole and whole.value]
    return len(values) == 2 and values[0][0] * values[1][1] > values[1][0] * values[0][1]


def _delayed(piece: Evidence) -> bool:
    if piece.kind is not EvidenceKind.CALL_WAIT:
        return False
    mean, usual = piece.figure("mean"), piece.figure("usual_mean")
    return bool(mean and usual and mean.value > usual.value)


def _crossed(piece: Evidence) -> bool:
    """A value stands beyond a bound; the sentence says on which side."""
    value = piece.figure("worst") or piece.figure("value")
    return (
        piece.kind is EvidenceKind.THRESHOLD
        and piece.figure("threshold") is not None
        and value is not None
    )


def _silent(piece: Evidence) -> bool:
    named = ("silent_before_event", "silent", "silent_series")
    return any(piece.figure(name) for name in named)


def _act(claim: Act, facts: Facts) -> bool:
    """The evidence behind the target, or a change of it, calls for the action."""
    named = facts.suspect(claim.target)
    if named is None or not claim.because:
        return False
    behind = {piece.evidence_id for piece in facts.behind(named)}
    pieces = [facts.piece(id) for id in claim.because]
    return all(
        piece is not None
        and (piece.evidence_id in behind or piece.kind is EvidenceKind.CHANGE)
        and not (piece.kind is EvidenceKind.CHANGE and facts.is_late(piece))
        and fits_action(claim.action, piece, named.suspect.entity, mechanism_of(piece))
        for piece in pieces
    )


def _piece(predicate: Callable[[Evidence, Facts], bool]) -> Callable[[Any, Facts], bool]:
    """Of a claim about one piece of evidence: it is there, and the predicate holds."""

    def holds_of(claim: Any, facts: Facts) -> bool:
        piece = facts.piece(claim.evidence)
        return piece is not None and predicate(piece, facts)

    return holds_of


def _kind(kind: EvidenceKind) -> Callable[[Any, Facts], bool]:
    return _piece(lambda piece, _: piece.kind is kind)


def _other(kind: EvidenceKind) -> Callable[[Any, Facts], bool]:
    """The same, of a piece that is not the subject itself."""
    return _piece(lambda p, facts: p.kind is kind and p.reference_id != facts.subject.ref.id)


_PREDICATES: Final[dict[type, Callable[[Any, Facts], bool]]] = {
    Explains: _explains,
    Moved: _piece(lambda piece, _: piece.has_moved),
    Steady: _piece(_steady),
    Apart: _piece(lambda piece, _: piece.is_measured and piece.is_apart and not piece.has_moved),
    Reached: _piece(lambda piece, _: piece.is_outside),
    Exhausted: _piece(lambda piece, _: piece.is_exhausted),
    Relieve: _piece(lambda piece, facts: piece.is_exhausted and facts.is_tied(piece)),
    Silent: _piece(lambda piece, _: _silent(piece)),
    Preceded: _preceded,
    Calls: _calls,
    Changed: _kind(EvidenceKind.CHANGE),
    Crossed: _piece(lambda piece, _: _crossed(piece)),
    Alerted: _other(EvidenceKind.ALERT),
    Abnormal: _kind(EvidenceKind.ANOMALY),
    Similar: _other(EvidenceKind.PAST_INCIDENT),
    Originated: _piece(lambda piece, _: _originated(piece)),
    Rerouted: _piece(lambda piece, _: _rerouted(piece)),
    Delayed: _piece(lambda piece, _: _delayed(piece)),
    ForExample: _other(EvidenceKind.EXAMPLE),
    Missing: _piece(
        lambda piece, _: piece.kind is EvidenceKind.MISSING and piece.source == LOOKED_FOR
    ),
    Act: _act,
}
