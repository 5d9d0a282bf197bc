"""From stored explanations to the wire."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from mesh.publisher import Frame
from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.claims.facts import ONSET_WITHIN_MS
from services.explainer.convert.answers import STATE, group, subject
from services.explainer.model.explanation import Record

FACTS_MAX: Final = 3

_ADVICE: Final = ("act", "relieve")
_ORDER: Final = ("changed", "exhausted", "crossed", "example")
_FIRST: Final = {kind: place for place, kind in enumerate(_ORDER)}
"""What is kept first of the facts that are not of the subject; the others follow in order."""


def stored(record: Record) -> pb.Explanation:
    """An explanation with its evidence; while it runs, what is known of it."""
    if record.result is None:
        return _running(record)
    return _grouped(pb.Explanation.FromString(record.result), record)


def short(explanation: pb.Explanation) -> pb.Explanation:
    """The cause, at most three facts, what to do first, and the evidence of these, in 8 kB."""
    facts = [each for each in explanation.claims if each.kind not in ("explains", *_ADVICE)]
    opening = explanation.summary.partition(facts[0].text)[0] if facts else explanation.summary
    kept = [each for each in explanation.claims if each.kind == "explains"]
    own = _own(explanation)
    kept += sorted(facts, key=lambda each: _place(each, own, explanation))[:FACTS_MAX]
    advice = [each for each in explanation.claims if each.kind in _ADVICE][:2]
    kept += advice
    cited = {id for each in kept for id in each.evidence_ids}
    found = pb.Explanation()
    found.CopyFrom(explanation)
    for name in ("claims", "evidence", "suspects"):
        found.ClearField(name)
    found.claims.extend(kept)
    found.evidence.extend(_light(p) for p in explanation.evidence if p.evidence_id in cited)
    found.suspects.extend(_named(each) for each in explanation.suspects[:FACTS_MAX])
    rest = [each.text for each in kept if each.kind not in ("explains", *_ADVICE)]
    found.summary = found.analysis = " ".join([opening.strip(), *rest])
    found.mitigation = " ".join(each.text for each in advice) or found.mitigation
    return found


def _own(explanation: pb.Explanation) -> set[str]:
    """Ids of the evidence that is of the subject itself: its anomaly, its bound, its series."""
    subject = explanation.subject
    return {
        piece.evidence_id
        for piece in explanation.evidence
        if piece.kind == pb.EVIDENCE_KIND_SUBJECT_SERIES
        or piece.reference_id in (subject.alert_id or subject.anomaly_id,)
        or (piece.kind == pb.EVIDENCE_KIND_THRESHOLD and not piece.reference_id)
    }


def _place(claim: pb.Claim, own: set[str], explanation: pb.Explanation) -> tuple[bool, int]:
    """Where a fact stands in the short view: those of the subject first, late changes last."""
    is_own = claim.kind != "steady" and bool(own & {*claim.evidence_ids})
    if claim.kind == "changed" and _is_late(claim, explanation):
        return True, len(_FIRST) + 1
    return not is_own, -1 if is_own else _FIRST.get(claim.kind, len(_FIRST))


def _is_late(claim: pb.Claim, explanation: pb.Explanation) -> bool:
    """Whether a change came after the subject's series had left their usual range."""
    pieces = explanation.evidence
    kind = pb.EVIDENCE_KIND_SUBJECT_SERIES
    begun = [s for p in pieces if p.kind == kind if (s := _before_s(p)) is not None]
    own = [s for p in pieces if p.evidence_id in claim.evidence_ids
            if (s := _before_s(p)) is not None]  # fmt: skip
    return bool(own) and own[0] < max([*begun, 0.0]) - ONSET_WITHIN_MS / 1000


def _before_s(piece: pb.Evidence) -> float | None:
    """Seconds before the event at which what a piece shows began; negative for after it."""
    figures = {each.name: each.value for each in piece.figures}
    if "change_after_event" in figures:
        return -figures["change_after_event"]
    return figures.get("change_before_event")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What an explanation comes to.

    Attributes:
        cause: The suspect that is named; "" when none is.
        telling: Changes of it, and what of it ran full: what turns a suspicion into a cause.
    """

    cause: str
    confidence: float
    telling: frozenset[str]


def known_of(explanation: pb.Explanation | bytes) -> Conclusion:
    """What an explanation comes to, given as it is or as it is stored."""
    if isinstance(explanation, bytes):
        explanation = pb.Explanation.FromString(explanation)
    named = explanation.verdict == pb.VERDICT_EXPLAINED and bool(explanation.suspects)
    cause = explanation.suspects[0].entity if named else ""
    reasons = explanation.suspects[0].reasons if named else ()
    behind = {id for reason in reasons for id in reason.evidence_ids}
    telling = (
        piece.title
        for piece in explanation.evidence
        if _changed(piece, cause) or (_ran_full(piece) and piece.evidence_id in behind)
    )
    return Conclusion(cause=cause, confidence=explanation.confidence, telling=frozenset(telling))


def _ran_full(piece: pb.Evidence) -> bool:
    return any(figure.name.startswith("full_") for figure in piece.figures)


def _changed(piece: pb.Evidence, service: str) -> bool:
    named = {each.name: each.value for each in piece.labels}
    return piece.kind == pb.EVIDENCE_KIND_CHANGE and named.get("service") == service


def _light(piece: pb.Evidence) -> pb.Evidence:
    """A piece of evidence without its samples."""
    found = pb.Evidence()
    found.CopyFrom(piece)
    found.ClearField("window")
    return found


def _named(suspect: pb.Suspect) -> pb.Suspect:
    """A suspect without its reasons: they are among the claims."""
    found = pb.Suspect()
    found.CopyFrom(suspect)
    found.ClearField("reasons")
    return found


def headline_of(record: Record) -> pb.Explanation:
    """An explanation without its evidence."""
    if record.headline is None:
        return _running(record)
    return _grouped(pb.Explanation.FromString(record.headline), record)


def listing(records: Sequence[Record], next_page_token: str) -> pb.ListExplanationsResponse:
    """One page."""
    return pb.ListExplanationsResponse(
        explanations=[headline_of(record) for record in records], next_page_token=next_page_token
    )


def watch_frame(frame: Frame[Record], now_ms: int) -> pb.WatchExplanationsResponse:
    """One frame of a watch."""
    if frame.entry is not None and frame.entry.headline is not None:
        ended = pb.Explanation.FromString(frame.entry.headline)
        return pb.WatchExplanationsResponse(cursor=frame.cursor, explanation=ended)
    if frame.draining:
        return pb.WatchExplanationsResponse(cursor=frame.cursor, draining=pb.WatchDraining())
    heartbeat = pb.WatchHeartbeat(dropped_cursor=frame.dropped)
    heartbeat.server_time.FromMilliseconds(now_ms)
    return pb.WatchExplanationsResponse(cursor=frame.cursor, heartbeat=heartbeat)


def keepalive(explanation_id: UUID) -> pb.ExplainResponse:
    """Says that the work goes on; it has no sequence and is never stored."""
    return pb.ExplainResponse(explanation_id=str(explanation_id), keepalive=pb.Keepalive())


def _grouped(explanation: pb.Explanation, record: Record) -> pb.Explanation:
    """With the size that its group has by now."""
    if record.group is not None:
        explanation.group.CopyFrom(group(record.group))
    return explanation


def _running(record: Record) -> pb.Explanation:
    begun = Timestamp()
    begun.FromMicroseconds(record.create_us)
    return pb.Explanation(
        explanation_id=str(record.explanation_id),
        subject=subject(record.ref),
        state=STATE[record.state],
        trace_id=record.trace_id,
        create_time=begun,
    )
