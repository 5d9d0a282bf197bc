"""Between the gateway's own objects and the messages of other services."""

from datetime import UTC
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from mesh.audit import AuditEntry, Head
from mesh.auth import Standing
from sensus.explainer.v1 import explainer_service_pb2
from sensus.identity.v1 import identity_service_pb2
from services.gateway.model import StandingFrame

_EXPLAINER: Final = explainer_service_pb2.DESCRIPTOR.services_by_name[
    "ExplainerService"
].methods_by_name

LIST_EXPLANATIONS: Final[MethodDescriptor] = _EXPLAINER["ListExplanations"]
GET_EXPLANATION: Final[MethodDescriptor] = _EXPLAINER["GetExplanation"]


def newest_done(page_size: int, page_token: str) -> explainer_service_pb2.ListExplanationsRequest:
    """Asks for a page of the finished explanations, newest first."""
    return explainer_service_pb2.ListExplanationsRequest(
        state=explainer_service_pb2.EXPLANATION_STATE_DONE,
        page_size=page_size,
        page_token=page_token,
    )


def explanation_ids(answer: Message) -> tuple[list[str], str]:
    """The explanations of a page, and the token of the next one."""
    assert isinstance(answer, explainer_service_pb2.ListExplanationsResponse)  # noqa: S101
    return [each.explanation_id for each in answer.explanations], answer.next_page_token


def explanation_request(explanation_id: str) -> explainer_service_pb2.GetExplanationRequest:
    """Asks for one explanation with its evidence."""
    return explainer_service_pb2.GetExplanationRequest(explanation_id=explanation_id)


def explanation_to_json(answer: Message) -> dict[str, Any]:
    """The explanation of a GetExplanationResponse."""
    assert isinstance(answer, explainer_service_pb2.GetExplanationResponse)  # noqa: S101
    return json_format.MessageToDict(answer.explanation, always_print_fields_with_no_presence=True)


def standing_frame(frame: StandingFrame, now_ms: int) -> identity_service_pb2.WatchStandingResponse:
    """One frame of WatchStanding."""
    message = identity_service_pb2.WatchStandingResponse(revision=frame.revision)
    if frame.draining:
        message.draining.SetInParent()
    elif frame.entries or frame.complete:
        message.changes.complete = frame.complete
        message.changes.entries.extend(map(_standing, frame.entries))
    else:
        message.heartbeat.server_time.FromMilliseconds(now_ms)
    return message


def _standing(standing: Standing) -> identity_service_pb2.Standing:
    message = identity_service_pb2.Standing(
        subject=standing.subject,
        epoch_us=standing.epoch_us,
        kept_session=standing.kept_session,
        scopes=sorted(standing.scopes),
        ended=standing.ended,
    )
    if standing.expires_at_s != float("inf"):
        message.expire_time.FromMilliseconds(round(standing.expires_at_s * 1000))
    return message


def audit_entry(message: identity_service_pb2.AuditEntry) -> AuditEntry:
    """An entry of another service's log."""
    return AuditEntry(
        entry_id=message.entry_id,
        occurred_at=message.occurred_at.ToDatetime(UTC),
        actor=message.actor,
        action=message.action,
        subject=message.subject,
        detail=json_format.MessageToDict(message.detail),
        prev_hash=b"",
        row_hash=message.row_hash,
    )


def audit_head(message: identity_service_pb2.AuditHead) -> Head:
    """The newest entry of a log."""
    return Head(message.entry_id, message.row_hash)


def recorded(entry_id: int, head: Head) -> identity_service_pb2.RecordAuditResponse:
    """Where a log goes on, and the head of the gateway's."""
    return identity_service_pb2.RecordAuditResponse(
        recorded_entry_id=entry_id,
        head=identity_service_pb2.AuditHead(entry_id=head.entry_id, row_hash=head.row_hash),
    )
