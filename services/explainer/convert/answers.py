"""From the domain to frames and explanations on the wire, as bytes."""

import re
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from sensus.core.v1 import series_pb2
from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.model.evidence import Evidence, EvidenceKind
from services.explainer.model.explanation import (
    Explanation,
    Group,
    Lease,
    NamedSuspect,
    State,
    Verdict,
)
from services.explainer.model.frames import Frame, Stage, StageStatus, StageUpdate, TextDelta
from services.explainer.model.subjects import SubjectKind, SubjectRef

STATE: Final = {each: pb.ExplanationState.Value(f"EXPLANATION_STATE_{each.name}") for each in State}
_RESULT_TAG: Final = bytes([pb.ExplainResponse.RESULT_FIELD_NUMBER << 3 | 2])
_EVIDENCE_TAG: Final = bytes([pb.ExplainResponse.EVIDENCE_FIELD_NUMBER << 3 | 2])
_OF_EVIDENCE_TAG: Final = bytes([pb.Explanation.EVIDENCE_FIELD_NUMBER << 3 | 2])
_CITED: Final = re.compile(r" \[E\d+\]")
_NEW_MAX: Final = 2
"""Sentences that a revision quotes of what it says anew."""

_VERDICT: Final = {
    Verdict.NONE: pb.VERDICT_UNSPECIFIED,
    Verdict.EXPLAINED: pb.VERDICT_EXPLAINED,
    Verdict.INSUFFICIENT_EVIDENCE: pb.VERDICT_INSUFFICIENT_EVIDENCE,
}
_KIND: Final = {each: pb.EvidenceKind.Value(f"EVIDENCE_KIND_{each.name}") for each in EvidenceKind}
_STAGE: Final = {each: pb.Stage.Value(f"STAGE_{each.name}") for each in Stage}
_STATUS: Final = {each: pb.StageStatus.Value(f"STAGE_STATUS_{each.name}") for each in StageStatus}


def encode_frame(
    explanation_id: UUID, sequence: int, frame: Frame, *, with_samples: bool = True
) -> bytes:
    """One frame other than the result."""
    response = pb.ExplainResponse(sequence=sequence, explanation_id=str(explanation_id))
    match frame:
        case StageUpdate():
            response.stage.CopyFrom(_stage(frame))
        case Evidence():
            piece = _encoded(frame, with_samples=with_samples)
            return response.SerializeToString() + _field(_EVIDENCE_TAG, piece)
        case NamedSuspect():
            response.suspect.CopyFrom(_suspect(frame))
        case TextDelta():
            response.text_delta.text = frame.text
    return response.SerializeToString()


def encode_result(explanation_id: UUID, sequence: int, result: bytes) -> bytes:
    """The last frame up to where the encoded result follows: fields stand one after the other."""
    head = pb.ExplainResponse(sequence=sequence, explanation_id=str(explanation_id))
    return head.SerializeToString() + _RESULT_TAG + _varint(len(result))


def _field(tag: bytes, encoded: bytes) -> bytes:
    return tag + _varint(len(encoded)) + encoded


def _varint(number: int) -> bytes:
    """A number as protobuf writes it: seven bits a byte, the lowest first."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def encode_explanation(
    lease: Lease, explanation: Explanation, *, trace_id: str, finish_us: int
) -> tuple[bytes, bytes]:
    """The explanation whole, and without its evidence for lists."""
    message = _headline(lease.ref, explanation, create_us=lease.create_us)
    message.explanation_id = str(lease.explanation_id)
    message.trace_id = trace_id
    message.finish_time.CopyFrom(_time(finish_us))
    message.revision = lease.revision
    if lease.before is not None:
        message.difference = _difference(pb.Explanation.FromString(lease.before), message)
    headline = message.SerializeToString()
    pieces = (_field(_OF_EVIDENCE_TAG, _encoded(each)) for each in explanation.evidence)
    return b"".join([headline, *pieces]), headline


def _difference(before: pb.Explanation, now: pb.Explanation) -> str:
    """What a revision says other than the one before."""
    named = [
        each.suspects[0].entity if each.verdict == pb.VERDICT_EXPLAINED and each.suspects else ""
        for each in (before, now)
    ]
    old, new = (f"{name} was named" if name else "nobody was named" for name in named)
    named_now = f"As before {old}" if old == new else f"Before {old}, now {new}"
    known = {_without_ids(claim.text) for claim in before.claims}
    texts = (_without_ids(claim.text) for claim in now.claims if claim.kind != "explains")
    more = [text for text in texts if text not in known]
    if not more:
        return f"{named_now}; nothing else is new."
    rest = len(more) - _NEW_MAX
    also = f" And {rest} more." if rest > 0 else ""
    return f"{named_now}. New: {' '.join(more[:_NEW_MAX])}{also}"


def _without_ids(text: str) -> str:
    """A sentence without the evidence it cites: that is numbered anew in each revision."""
    return _CITED.sub("", text)


def unkept(ref: SubjectRef, explanation: Explanation, *, create_us: int) -> pb.Explanation:
    """An explanation that is stored nowhere: it has no id and stands in no group."""
    message = _headline(ref, explanation, create_us=create_us)
    message.evidence.extend(_evidence(each) for each in explanation.evidence)
    message.ClearField("group")
    return message


def _headline(ref: SubjectRef, explanation: Explanation, *, create_us: int) -> pb.Explanation:
    return pb.Explanation(
        subject=subject(ref),
        state=STATE[explanation.state],
        verdict=_VERDICT[explanation.verdict],
        root_cause=explanation.text.root_cause,
        mitigation=explanation.text.mitigation,
        summary=explanation.text.summary,
        analysis=explanation.text.summary,
        claims=[
            pb.Claim(kind=each.kind, text=each.text, evidence_ids=each.evidence_ids)
            for each in explanation.claims
        ],
        confidence=explanation.confidence,
        suspects=[_suspect(each) for each in explanation.suspects],
        wording=_wording(explanation),
        create_time=_time(create_us),
        group=group(explanation.group) if explanation.group else None,
    )


def subject(ref: SubjectRef) -> pb.Subject:
    """Names a subject on the wire."""
    if ref.kind is SubjectKind.ALERT:
        return pb.Subject(alert_id=ref.id)
    return pb.Subject(anomaly_id=ref.id)


def group(found: Group) -> pb.ExplanationGroup:
    """The like explanations beside one."""
    return pb.ExplanationGroup(group_id=str(found.group_id), size=found.size)


def _wording(explanation: Explanation) -> pb.Wording:
    wording = explanation.wording
    return pb.Wording(
        provider=wording.provider,
        model=wording.model,
        degraded_reason=wording.degraded_reason,
        struck_claims=wording.struck_claims,
        prompt_id=wording.prompt_id,
        input_tokens=wording.input_tokens,
        output_tokens=wording.output_tokens,
        cached=wording.cached,
    )


def _stage(update: StageUpdate) -> pb.StageUpdate:
    return pb.StageUpdate(
        stage=_STAGE[update.stage], status=_STATUS[update.status], message=update.message
    )


def _encoded(evidence: Evidence, *, with_samples: bool = True) -> bytes:
    """One piece; what like explanations show is encoded once."""
    known: bytes | None = evidence.made.get((_encoded, with_samples))
    if known is None:
        known = _evidence(evidence, with_samples=with_samples).SerializeToString()
        evidence.made[_encoded, with_samples] = known
    return known


def _evidence(evidence: Evidence, *, with_samples: bool = True) -> pb.Evidence:
    message = pb.Evidence(
        evidence_id=evidence.evidence_id,
        kind=_KIND[evidence.kind],
        source=evidence.source,
        title=evidence.title,
        start_time=_time(evidence.start_ms * 1000),
        end_time=_time(evidence.end_ms * 1000),
        labels=_labels(evidence.labels),
        figures=[pb.Figure(name=f.name, value=f.value, unit=f.unit) for f in evidence.figures],
        reference_id=evidence.reference_id,
        link=evidence.link,
    )
    if evidence.samples is not None and with_samples:
        message.window.timestamps_ms.extend(evidence.samples.timestamps_ms.tolist())
        message.window.values.extend(evidence.samples.values.tolist())
    return message


def _suspect(named: NamedSuspect) -> pb.Suspect:
    suspect = named.suspect
    return pb.Suspect(
        rank=suspect.rank,
        entity=suspect.entity,
        labels=_labels(named.labels),
        score=suspect.score,
        confidence=suspect.confidence,
        reasons=[
            pb.SuspectReason(text=reason.text, evidence_ids=[reason.evidence_id])
            for reason in suspect.reasons
        ],
    )


def _labels(labels: Mapping[str, str]) -> list[series_pb2.Label]:
    return [series_pb2.Label(name=name, value=labels[name]) for name in sorted(labels)]


def _time(microseconds: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMicroseconds(microseconds)
    return stamp
