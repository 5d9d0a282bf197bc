"""From verified claims to prose: the only place where a sentence of an explanation is formed. Pure.

Figures, units, names and times come from the evidence. A claim must have been verified.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from services.explainer.claims.advice import WORDS, action_for
from services.explainer.claims.counted import of_traces, place_of
from services.explainer.claims.facts import Facts
from services.explainer.claims.figures import lasted, shown, shown_time
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
    ids_of,
)
from services.explainer.claims.phrases import (
    beside_event,
    metric_of,
    ran_full,
    since,
    time_of,
    title_of,
    what_changed,
    what_moved,
)
from services.explainer.model.evidence import Evidence, EvidenceKind, Figure
from services.explainer.model.explanation import StatedClaim, Text
from services.explainer.model.names import plain, series_name
from services.explainer.model.subjects import SubjectKind

_CLOSE: Final = 0.5
"""A share of the first suspect's confidence: whoever has more is named beside it."""

_NAMED_MAX: Final = 2
_ADVICE: Final = ("act", "relieve")


def rendered(claims: Sequence[Claim], facts: Facts) -> list[StatedClaim]:
    """One sentence per claim."""
    advised: set[str] = set()
    found = []
    for claim in claims:
        text = sentence(claim, facts)
        if isinstance(claim, Act):
            if claim.target in advised:
                text = f"Then {text.removeprefix(_start(claim, facts))}"
            advised.add(claim.target)
        kind = str(claim.__struct_config__.tag)
        found.append(StatedClaim(kind=kind, text=text, evidence_ids=ids_of(claim)))
    return found


def sentence(claim: Claim, facts: Facts) -> str:
    """A claim in words, with the evidence it stands on."""
    render: Callable[[Any, Facts], str] = _RENDER[type(claim)]
    return render(claim, facts)


def text_of(said: Sequence[StatedClaim], facts: Facts) -> Text:
    """The three texts: the cause, what to do, and all else."""
    rest = [each.text for each in said if each.kind not in ("explains", *_ADVICE)]
    return Text(
        root_cause=" ".join(each.text for each in said if each.kind == "explains"),
        mitigation=" ".join(each.text for each in said if each.kind in _ADVICE) or _look(facts),
        summary=" ".join([opening(facts), *rest]),
    )


def opening(facts: Facts) -> str:
    """What is explained and since when; without a cause, why none is named."""
    subject = facts.subject
    began = "began" if subject.ref.kind is SubjectKind.ALERT else "was found"
    title = subject.title
    named = title[:1].upper() + title[1:] if title.startswith("alert ") else title
    at = shown_time(subject.event_ms)
    first = f"{named} ({plain(subject.severity)}) {began} at {at}."
    if facts.suspects:
        return first
    return f"{first} The evidence names no cause: {plain(facts.reason, 200)}."


def _look(facts: Facts) -> str:
    if any(piece.kind.value == "missing" for piece in facts.evidence):
        return "Get the missing evidence first, then have it explained anew."
    return "Look at the series of the subject and at what was changed before the event."


def _cited(text: str, *ids: str) -> str:
    return f"{text} {' '.join(f'[{id}]' for id in ids)}."


def _piece(evidence_id: str, facts: Facts) -> Evidence:
    piece = facts.piece(evidence_id)
    if piece is None:
        raise LookupError(f"{evidence_id} was not verified")
    return piece


def _explains(claim: Explains, facts: Facts) -> str:
    reasons = [_piece(id, facts) for id in claim.because]
    moves = "; ".join(f"{what_moved(p, facts)} [{p.evidence_id}]" for p in reasons if _tells(p))
    text = f"{facts.entity(claim.suspect)} is the most likely cause{_hardly_ahead(facts)}"
    cited = " ".join(f"[{p.evidence_id}]" for p in reasons)
    text = f"{text}: {moves}" if moves else f"{text} {cited}"
    if not claim.effect:
        return f"{text}."
    effect = _piece(claim.effect, facts)
    return _cited(f"{text}. It shows in {metric_of(effect)} {since(effect, facts)}", claim.effect)


def _tells(piece: Evidence) -> bool:
    """Whether a piece says by itself why somebody is suspect."""
    is_change = piece.kind is EvidenceKind.CHANGE
    return piece.has_moved or piece.is_exhausted or piece.is_counted or is_change


def _hardly_ahead(facts: Facts) -> str:
    """`, hardly ahead of db and cart`: who is nearly as suspect as the first."""
    first, *others = (each.suspect for each in facts.suspects)
    close = [each for each in others if each.confidence > _CLOSE * first.confidence]
    named = [plain(each.entity) for each in close[:_NAMED_MAX]]
    if len(close) > len(named):
        named.append("others")
    return f", hardly ahead of {_listed(named)}" if named else ""


def _listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _moved(claim: Moved, facts: Facts) -> str:
    piece = _piece(claim.evidence, facts)
    named = series_name(piece.labels)
    text = what_moved(piece, facts).removeprefix(metric_of(piece))
    return _cited(f"{named}{text}", claim.evidence)


def _steady(claim: Steady, facts: Facts) -> str:
    named = series_name(_piece(claim.evidence, facts).labels)
    return _cited(f"{named} stayed within its usual range", claim.evidence)


def _apart(claim: Apart, facts: Facts) -> str:
    piece = _piece(claim.evidence, facts)
    observed, usual = piece.figure("observed"), piece.figure("baseline")
    if observed is None or usual is None:
        raise LookupError(f"{claim.evidence} was not verified")
    text = f"{series_name(piece.labels)} was at {shown(observed)}, usually {shown(usual)}"
    return _cited(f"{text}, since before {time_of(piece.start_ms, facts)}", claim.evidence)


def _reached(claim: Reached, facts: Facts) -> str:
    """`latency_seconds reached 500, from 44 to 56 before`; of a counter what it gained."""
    piece = _piece(claim.evidence, facts)
    named, gained = series_name(piece.labels), piece.figure("gained")
    if gained:
        return _cited(f"{named} grew by {shown(gained)}, before it did not grow", claim.evidence)
    reached, low, high = (piece.figure(n) for n in ("reached", "usual_low", "usual_high"))
    if reached is None or low is None or high is None:
        raise LookupError(f"{claim.evidence} was not verified")
    text = f"{named} reached {shown(reached)}, before it was from {shown(low)} to {shown(high)}"
    return _cited(text, claim.evidence)


def _silent(claim: Silent, facts: Facts) -> str:
    piece, event = _piece(claim.evidence, facts), facts.subject.ref.kind.value
    named = series_name(piece.labels)
    if many := piece.figure("silent_series"):
        text = f"{named} and {shown(many)} more series like it fell silent"
        return _cited(text, claim.evidence)
    if silent := piece.figure("silent_before_event"):
        text = f"{named} sent nothing for {lasted(silent.value)} before the {event}"
        return _cited(text, claim.evidence)
    silent, usual = piece.figure("silent"), piece.figure("usual_pause")
    text = f"{named} was silent for {lasted(silent.value if silent else 0.0)}"
    if usual:
        text += f", usually it sends at least every {lasted(usual.value)}"
    return _cited(text, claim.evidence)


def _preceded(claim: Preceded, facts: Facts) -> str:
    first, second = _piece(claim.first, facts), _piece(claim.second, facts)
    begun = [facts.begun_ms(each) or 0 for each in (first, second)]
    apart = lasted((begun[1] - begun[0]) / 1000)
    text = f"{_short(first)} began {apart} before {_short(second)}"
    return _cited(text, claim.first, claim.second)


def _short(piece: Evidence) -> str:
    return series_name(piece.labels) if piece.is_measured else plain(piece.title, 120)


def _calls(claim: Calls, facts: Facts) -> str:
    return f"{facts.entity(claim.caller)} calls {facts.entity(claim.callee)}."


def _changed(claim: Changed, facts: Facts) -> str:
    piece = _piece(claim.evidence, facts)
    return _cited(f"There was a change: {what_changed(piece, facts)}", claim.evidence)


def _crossed(claim: Crossed, facts: Facts) -> str:
    """`cpu_usage{host="a"} crossed its threshold: 97 % ≥ 95 %, rule CPU usage, held 60 s`."""
    piece = _piece(claim.evidence, facts)
    value, bound = piece.figure("worst") or piece.figure("value"), piece.figure("threshold")
    if value is None or bound is None:
        raise LookupError(f"{claim.evidence} was not verified")
    rule = f", rule {plain(piece.rule)}" if piece.rule else ""
    held = piece.figure("held")
    lasting = f", held {lasted(held.value)}" if held else ""
    crossing = f"crossed its threshold: {_beyond(value, bound)}"
    if value.value == bound.value:
        crossing = f"reached its threshold: {shown(value)}"
    text = f"{series_name(piece.labels)} {crossing}"
    return _cited(f"{text}{rule}{lasting}", claim.evidence)


def _beyond(value: Figure, bound: Figure) -> str:
    side = "\u2265" if value.value >= bound.value else "\u2264"
    return f"{shown(value)} {side} {shown(bound)}"


def _alerted(claim: Alerted, facts: Facts) -> str:
    piece = _piece(claim.evidence, facts)
    severity = f" ({plain(piece.severity)})" if piece.severity else ""
    at = beside_event(piece.start_ms, facts)
    return _cited(f"{_capital(plain(piece.title, 200))}{severity} began {at}", claim.evidence)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] if text.startswith("alert ") else text


def _abnormal(claim: Abnormal, facts: Facts) -> str:
    piece = _piece(claim.evidence, facts)
    if piece.figure("silent") or piece.figure("silent_series"):
        return _silent(Silent(claim.evidence), facts)
    value, text = piece.figure("value"), f"{series_name(piece.labels)} was abnormal"
    if value:
        text += f" at {shown(value)}{_expected(piece)}"
    if not facts.is_own(piece):
        text += f", {beside_event(piece.start_ms, facts)}"
    return _cited(text, claim.evidence)


def _expected(piece: Evidence) -> str:
    low, high = piece.figure("expected_low"), piece.figure("expected_high")
    if low and high:
        return f" (expected {shown(low)} to {shown(high)})"
    one = low or high
    return f" (expected {'at least' if low else 'at most'} {shown(one)})" if one else ""


def _similar(claim: Similar, facts: Facts) -> str:
    return _cited(f"A past incident is alike: {title_of(_piece(claim.evidence, facts))}",
                  claim.evidence)  # fmt: skip


def _counted(claim: Originated | Rerouted | Delayed, facts: Facts) -> str:
    return _cited(f"In the traces {of_traces(_piece(claim.evidence, facts))}", claim.evidence)


def _for_example(claim: ForExample, facts: Facts) -> str:
    piece = _piece(claim.evidence, facts)
    trace_id = piece.labels.get("trace_id")
    trace = f" (trace {plain(trace_id)})" if trace_id else ""
    where = "" if piece.is_sampled else f" in {place_of(piece)}:"
    return _cited(f"For example{where} {title_of(piece)}{trace}", claim.evidence)


def _missing(claim: Missing, facts: Facts) -> str:
    return _cited(f"Missing: {plain(_piece(claim.evidence, facts).title, 200)}", claim.evidence)


def _act(claim: Act, facts: Facts) -> str:
    return _cited(f"{_start(claim, facts)}{WORDS[claim.action]}", *claim.because)


def _start(claim: Act, facts: Facts) -> str:
    return f"Start with {facts.entity(claim.target)}: "


def _relieve(claim: Relieve, facts: Facts) -> str:
    piece = _piece(claim.evidence, facts)
    action = action_for(piece, Mechanism.EXHAUSTION)
    return _cited(f"Of {series_name(piece.labels)}: {WORDS[action]}", claim.evidence)


def _exhausted(claim: Exhausted, facts: Facts) -> str:
    piece = _piece(claim.evidence, facts)
    text = ran_full(piece, facts).removeprefix(metric_of(piece))
    return _cited(f"{series_name(piece.labels)}{text}", claim.evidence)


_RENDER: Final[dict[type, Callable[[Any, Facts], str]]] = {
    Explains: _explains,
    Moved: _moved,
    Steady: _steady,
    Apart: _apart,
    Reached: _reached,
    Exhausted: _exhausted,
    Relieve: _relieve,
    Silent: _silent,
    Preceded: _preceded,
    Calls: _calls,
    Changed: _changed,
    Crossed: _crossed,
    Alerted: _alerted,
    Abnormal: _abnormal,
    Similar: _similar,
    Originated: _counted,
    Rerouted: _counted,
    Delayed: _counted,
    ForExample: _for_example,
    Missing: _missing,
    Act: _act,
}
