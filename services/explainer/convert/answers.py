"""From the domain to frames and explanations on the wire, as bytes."""

from collections.abc import Mapping
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from sensus.core.v1 import series_pb2
from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.model.evidence import Evidence, EvidenceKind
from services.explainer.model.explanation import (
    Claim,
    Explanation,
    Group,
    NamedSuspect,
    State,
    Verdict,
)
from services.explainer.model.frames import Frame, Stage, StageStatus, StageUpdate, TextDelta
from services.explainer.model.subjects import SubjectKind, SubjectRef

STATE = {
    State.RUNNING: pb.EXPLANATION_STATE_RUNNING,
    State.DONE: pb.EXPLANATION_STATE_DONE,
    State.CANCELLED: pb.EXPLANATION_STATE_CANCELLED,
    State.FAILED: pb.EXPLANATION_STATE_FAILED,
}
_VERDICT = {
    Verdict.NONE: pb.VERDICT_UNSPECIFIED,
    Verdict.EXPLAINED: pb.VERDICT_EXPLAINED,
    Verdict.INSUFFICIENT_EVIDENCE: pb.VERDICT_INSUFFICIENT_EVIDENCE,
}
_KIND = {
    EvidenceKind.SUBJECT_SERIES: pb.EVIDENCE_KIND_SUBJECT_SERIES,
    EvidenceKind.MOVED_SERIES: pb.EVIDENCE_KIND_MOVED_SERIES,
    EvidenceKind.ANOMALY: pb.EVIDENCE_KIND_ANOMALY,
    EvidenceKind.ALERT: pb.EVIDENCE_KIND_ALERT,
    EvidenceKind.CHANGE: pb.EVIDENCE_KIND_CHANGE,
    EvidenceKind.LOG_ERRORS: pb.EVIDENCE_KIND_LOG_ERRORS,
    EvidenceKind.TRACE_TIME: pb.EVIDENCE_KIND_TRACE_TIME,
    EvidenceKind.PAST_INCIDENT: pb.EVIDENCE_KIND_PAST_INCIDENT,
    EvidenceKind.THRESHOLD: pb.EVIDENCE_KIND_THRESHOLD,
    EvidenceKind.TOPOLOGY: pb.EVIDENCE_KIND_TOPOLOGY,
    EvidenceKind.MISSING: pb.EVIDENCE_KIND_MISSING,
}
_STAGE = {
    Stage.GATHERING: pb.STAGE_GATHERING,
    Stage.RANKING: pb.STAGE_RANKING,
    Stage.WORDING: pb.STAGE_WORDING,
    Stage.CHECKING: pb.STAGE_CHECKING,
}
_STATUS = {
    StageStatus.STARTED: pb.STAGE_STATUS_STARTED,
    StageStatus.DONE: pb.STAGE_STATUS_DONE,
    StageStatus.DEGRADED: pb.STAGE_STATUS_DEGRADED,
}


def encode_frame(explanation_id: UUID, sequence: int, frame: Frame) -> bytes:
    """One frame other than the result."""
    response = pb.ExplainResponse(sequence=sequence, explanation_id=str(explanation_id))
    match frame:
        case StageUpdate():
            response.stage.CopyFrom(_stage(frame))
        case Evidence():
            response.evidence.CopyFrom(_evidence(frame))
        case NamedSuspect():
            response.suspect.CopyFrom(_suspect(frame))
        case TextDelta():
            response.text_delta.text = frame.text
    return response.SerializeToString()


def encode_result(explanation_id: UUID, sequence: int, encoded: bytes) -> bytes:
    """The last frame, from an explanation that is already encoded."""
    result = pb.Explanation.FromString(encoded)
    return pb.ExplainResponse(
        sequence=sequence, explanation_id=str(explanation_id), result=result
    ).SerializeToString()


def encode_explanation(
    claim: Claim, explanation: Explanation, *, trace_id: str, finish_us: int
) -> tuple[bytes, bytes]:
    """The explanation whole, and without its evidence for lists."""
    message = _headline(claim.ref, explanation, create_us=claim.create_us)
    message.explanation_id = str(claim.explanation_id)
    message.trace_id = trace_id
    message.finish_time.CopyFrom(_time(finish_us))
    headline = message.SerializeToString()
    message.evidence.extend(_evidence(each) for each in explanation.evidence)
    return message.SerializeToString(), headline


def unkept(ref: SubjectRef, explanation: Explanation, create_us: int) -> pb.Explanation:
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


def _evidence(evidence: Evidence) -> pb.Evidence:
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
    )
    if evidence.samples is not None:
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
