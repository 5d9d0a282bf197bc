"""Requests on the wire as questions to the store; everything wrong with one is said here."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from mesh.errors import InvalidInput, NotFound, Violation
from sensus.notifier.v1 import notice_pb2, notifier_service_pb2
from services.notifier.convert.pages import invalid
from services.notifier.model.notices import NoticeState
from services.notifier.routing.text import Faults
from services.notifier.store import NoticeFilter

TEXT_CHARS_MAX: Final = 512
REQUEST_ID_CHARS_MAX: Final = 128
LABELS_MAX: Final = 200

_STATE: Final = {
    notice_pb2.NOTICE_STATE_PENDING: NoticeState.PENDING,
    notice_pb2.NOTICE_STATE_SENDING: NoticeState.SENDING,
    notice_pb2.NOTICE_STATE_SENT: NoticeState.SENT,
    notice_pb2.NOTICE_STATE_FAILED: NoticeState.FAILED,
    notice_pb2.NOTICE_STATE_FOLDED: NoticeState.FOLDED,
    notice_pb2.NOTICE_STATE_HELD: NoticeState.HELD,
    notice_pb2.NOTICE_STATE_DROPPED: NoticeState.DROPPED,
}


def wanted_of(request: notifier_service_pb2.ListNoticesRequest) -> NoticeFilter:
    """Which notices are listed. An id that cannot be one finds none."""
    return NoticeFilter(
        incident_id=_text(request.incident_id),
        receiver=_text(request.receiver),
        state=str(_STATE.get(request.state, "")),
    )


def notice_id_of(text: str) -> UUID:
    """Raises: NotFound (NOTICE_NOT_FOUND) also for what is no id at all."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("notice", text[:TEXT_CHARS_MAX]) from None


def request_id_of(text: str) -> str:
    """Raises: InvalidInput (INVALID_REQUEST_ID)."""
    if len(text) > REQUEST_ID_CHARS_MAX or "\0" in text:
        message = f"be at most {REQUEST_ID_CHARS_MAX} characters without NUL"
        raise invalid("request_id", message, "INVALID_REQUEST_ID")
    return text


def labels_of(request: notifier_service_pb2.TestRoutingRequest) -> dict[str, str]:
    """Raises: InvalidInput (INVALID_LABELS)."""
    labels = {each.name: each.value for each in request.labels if each.name}
    if len(request.labels) > LABELS_MAX or (labels and request.incident_id):
        message = f"be at most {LABELS_MAX}, and not together with incident_id"
        raise invalid("labels", message, "INVALID_LABELS")
    return labels


def check_yaml(yaml: str, faults: Faults) -> None:
    """Raises: InvalidInput (INVALID_ROUTING), each fault with the place where it stands."""
    if "\0" in yaml:
        faults.add("", "hold no NUL character")
    if not faults.found:
        return
    raise InvalidInput(
        f"the routing has {len(faults.found)} faults, the first: {_fault_text(faults.found[0])}",
        reason="INVALID_ROUTING",
        violations=_violations(faults.found),
    )


def _violations(found: Sequence[tuple[str, str]]) -> list[Violation]:
    return [Violation(path or "yaml", should[:500]) for path, should in found]


def _fault_text(fault: tuple[str, str]) -> str:
    path, should = fault
    return f"{path or 'the text'}: {should}"[:500]


def _text(text: str) -> str:
    return text[:TEXT_CHARS_MAX].replace("\0", "\ufffd")
