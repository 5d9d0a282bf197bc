"""Words an explanation without a language model: the same facts give the same text.

Every number in it is a figure of the evidence, written by `figures.shown`, or the event's time.
"""

from collections.abc import Sequence

from services.explainer.model.case import Symptom
from services.explainer.model.evidence import LOOKED_FOR, Evidence, EvidenceKind
from services.explainer.model.explanation import Text
from services.explainer.model.names import is_name, plain, series_name
from services.explainer.model.subjects import SubjectFacts, SubjectKind
from services.explainer.rankers.measures import Measure, measure_of
from services.explainer.rankers.moves import FAR_OUTSIDE
from services.explainer.wording.facts import Facts
from services.explainer.wording.figures import shown, shown_time

_NAMED_MAX = 3
_CLOSE = 0.5
"""A share of the first suspect's confidence: whoever has more is named beside it."""
_ADVICE = {
    Measure.CPU: "find what uses the processor there, then stop it or give it more",
    Measure.MEMORY: "find what fills the memory or disk there, then free it or give it more",
    Measure.ERRORS: "read its error logs and undo its last change",
    Measure.AVAILABILITY: "check that it runs and can be reached, then restart or roll it back",
    Measure.TRAFFIC: "find who sends or stopped sending the traffic, then limit or reroute it",
    Measure.HOST: "check the machine itself, then move the load away from it",
}
_SLOW = "look at what it waits for, undo its last change or add capacity"
_OTHER = "compare it with the time before the event and undo what changed"


def worded(facts: Facts) -> Text:
    """The text of an explanation; without suspects it says that the evidence names no cause."""
    if not facts.suspects:
        return Text(root_cause="", mitigation=_look_first(facts), summary=_summary(facts))
    return Text(
        root_cause=_root_cause(facts), mitigation=_mitigation(facts), summary=_summary(facts)
    )


def shortest_cause(facts: Facts) -> str:
    """Who is the most likely cause and nothing else, for when nothing else of it can be told."""
    first = facts.suspects[0]
    cited = next((f" [{each.evidence_id}]" for each in first.suspect.reasons), "")
    return f"{plain(first.suspect.entity)} is the most likely cause{cited}."


def _root_cause(facts: Facts) -> str:
    first = facts.suspects[0]
    entity, piece = plain(first.suspect.entity), facts.behind(first)
    claim = f"{entity} is the most likely cause{_hardly_ahead(facts)}"
    if piece is None:
        return f"{claim}: {plain(facts.reason, 200)}."
    if not piece.has_moved:
        return f"{claim} [{piece.evidence_id}]."
    return f"{claim}: {moved_in_words(piece, facts.subject)} [{piece.evidence_id}]."


def _hardly_ahead(facts: Facts) -> str:
    """`, hardly ahead of db and cart`: who is nearly as suspect as the first."""
    first, *others = (each.suspect for each in facts.suspects)
    close = [each for each in others if each.confidence > _CLOSE * first.confidence]
    named = [plain(each.entity) for each in close[: _NAMED_MAX - 1]]
    if len(close) > len(named):
        named.append("others")
    return f", hardly ahead of {_listed(named)}" if named else ""


def _listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def moved_in_words(piece: Evidence, subject: SubjectFacts) -> str:
    """`cpu rose from 2 % to 98 %, 31 times its usual spread, 40 s before the alert`.

    No size is told of a series whose usual spread is too small to count in.
    """
    metric = _metric_of(piece)
    baseline, observed = piece.figure("baseline"), piece.figure("observed")
    if baseline is None or observed is None:
        return f"{metric} moved"
    if not piece.has_moved:
        return f"{metric} stayed within its usual range"
    rose = "rose" if observed.value >= baseline.value else "fell"
    size = piece.figure("size_sigma")
    far = f"{shown(size)} times its usual spread" if size else FAR_OUTSIDE
    text = f"{metric} {rose} from {shown(baseline)} to {shown(observed)}, {far}"
    return text + when(piece, subject)


def _metric_of(piece: Evidence) -> str:
    """The metric of a series; with its labels when its name alone reads like a number."""
    metric = plain(piece.labels.get("__name__", ""))
    return metric if is_name(metric) else series_name(piece.labels)


def when(piece: Evidence, subject: SubjectFacts) -> str:
    """`, 40 s before the alert`; "" when nothing tells."""
    event = subject.ref.kind.value
    if before := piece.figure("change_before_event"):
        return f", {shown(before)} before the {event}" if before.value else f", with the {event}"
    if after := piece.figure("change_after_event"):
        return f", {shown(after)} after the {event}"
    return ""


def _mitigation(facts: Facts) -> str:
    first = facts.suspects[0]
    piece = facts.behind(first)
    measure = measure_of(piece.labels.get("__name__", "")) if piece else Measure.OTHER
    advice = _ADVICE.get(measure, _OTHER if measure is Measure.OTHER else _SLOW)
    return f"Start with {plain(first.suspect.entity)}: {advice}."


def _look_first(facts: Facts) -> str:
    if _missing(facts):
        return "Get the missing evidence first, then explain again."
    return "Look at the series of the subject and at what was changed before the event."


def _summary(facts: Facts) -> str:
    subject = facts.subject
    began = "began" if subject.ref.kind is SubjectKind.ALERT else "was found"
    parts = [
        f"{_capital(subject.title)} ({plain(subject.severity)}) {began} at "
        f"{shown_time(subject.event_ms)}."
    ]
    if not facts.suspects:
        parts.append(f"The evidence names no cause: {plain(facts.reason, 200)}.")
    cause = _root_cause(facts) if facts.suspects else ""
    own = [_of_subject(piece, facts) for piece in _own(facts)]
    parts += [f"Of the subject, {told}" for told in own if told not in cause]
    parts += _also(facts, "Thresholds crossed", EvidenceKind.THRESHOLD)
    parts += _also(facts, "Changes nearby", EvidenceKind.CHANGE)
    parts += _also(facts, "Other series moved", EvidenceKind.MOVED_SERIES)
    parts += _also(facts, "In logs and traces", EvidenceKind.LOG_ERRORS, EvidenceKind.TRACE_TIME)
    parts += _also(facts, "Anomalies nearby", EvidenceKind.ANOMALY)
    parts += _also(facts, "Alerts nearby", EvidenceKind.ALERT)
    parts += _also(facts, "Like incidents of the past", EvidenceKind.PAST_INCIDENT)
    parts += [
        f"Missing: {plain(each.title, 200)} [{each.evidence_id}]." for each in _missing(facts)
    ]
    return " ".join(parts)


def _own(facts: Facts) -> list[Evidence]:
    series = facts.of_kind(EvidenceKind.SUBJECT_SERIES)
    return [each for each in series if each.is_measured or each.figure("silent_before_event")]


def _of_subject(piece: Evidence, facts: Facts) -> str:
    subject, silent = facts.subject, piece.figure("silent_before_event")
    told = moved_in_words(piece, subject)
    if silent and (subject.symptom is Symptom.ABSENCE or not piece.has_moved):
        told = f"{_metric_of(piece)} sent nothing for {shown(silent)}"
        told += f" before the {subject.ref.kind.value}"
    return f"{told} [{piece.evidence_id}]."


def _missing(facts: Facts) -> list[Evidence]:
    """What was looked for; what was never sent is in the evidence and in no sentence."""
    return [each for each in facts.of_kind(EvidenceKind.MISSING) if each.source == LOOKED_FOR]


def _also(facts: Facts, said: str, *kinds: EvidenceKind) -> list[str]:
    """One sentence with the first few of a kind; no count, for a count is no figure."""
    others = [each for each in facts.of_kind(*kinds) if each.reference_id != facts.subject.ref.id]
    if not others:
        return []
    named = ", ".join(f"{each.title} [{each.evidence_id}]" for each in others[:_NAMED_MAX])
    return [f"{said}: {named}{' and more' if len(others) > _NAMED_MAX else ''}."]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] if text.startswith("alert ") else text
