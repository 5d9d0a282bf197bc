"""From requests on the wire to the domain; everything that is wrong with one is said here."""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from mesh.errors import InvalidInput, Violation
from mesh.publisher import heartbeat_s
from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.convert.answers import STATE
from services.explainer.model.explanation import Record, State
from services.explainer.model.subjects import SubjectKind, SubjectRef
from services.explainer.store.records import Filter, Position

PAGE_DEFAULT = 100
PAGE_MAX = 1000
SUBJECT_ID_CHARS_MAX = 512
SUBJECTS_MAX = 1000

_TOKEN = struct.Struct(">q16s8s")
_STATE = {there: here for here, there in STATE.items()}


NamesExplanation = pb.GetExplanationRequest | pb.CancelExplanationRequest | pb.SubmitFeedbackRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOrder:
    """What a caller of Explain wants."""

    ref: SubjectRef
    request_id: UUID | None
    resume_after: int
    anew: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOrder:
    """One page of a list. `next_token` continues it after a position."""

    wanted: Filter
    after: Position | None
    size: int
    digest: bytes

    def next_token(self, last: Position) -> str:
        """Token of the page that begins after `last`."""
        raw = _TOKEN.pack(last.create_us, last.explanation_id.bytes, self.digest)
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def explain_request(request: pb.ExplainRequest) -> ExplainOrder:
    """Raises: InvalidInput (SUBJECT_REQUIRED, INVALID_REQUEST_ID)."""
    return ExplainOrder(
        ref=subject_of(request.subject),
        request_id=_uuid(request.request_id, "request_id", "INVALID_REQUEST_ID")
        if request.request_id
        else None,
        resume_after=request.resume_after_sequence,
        anew=request.anew,
    )


def explanation_id_of(request: NamesExplanation) -> UUID:
    """Raises: InvalidInput (INVALID_EXPLANATION_ID)."""
    return _uuid(request.explanation_id, "explanation_id", "INVALID_EXPLANATION_ID")


def list_request(request: pb.ListExplanationsRequest) -> ListOrder:
    """What the request asks for.

    Raises:
        InvalidInput: INVALID_PAGE_TOKEN, INVALID_PAGE_SIZE, INVALID_TIME_RANGE, INVALID_GROUP_ID,
            SUBJECT_REQUIRED, TOO_MANY_SUBJECTS.
    """
    if request.page_size > PAGE_MAX:
        raise invalid("page_size", f"be at most {PAGE_MAX}", "INVALID_PAGE_SIZE")
    digest = digest_of(request)
    return ListOrder(
        wanted=_filter(request),
        after=_position(request.page_token, digest) if request.page_token else None,
        size=request.page_size or PAGE_DEFAULT,
        digest=digest,
    )


def _filter(request: pb.ListExplanationsRequest) -> Filter:
    start_us = _microseconds(request.start_time) if request.HasField("start_time") else None
    end_us = _microseconds(request.end_time) if request.HasField("end_time") else None
    if start_us is not None and end_us is not None and start_us >= end_us:
        raise invalid("end_time", "be after start_time", "INVALID_TIME_RANGE")
    return Filter(
        refs=_subjects(request),
        state=_STATE.get(request.state),
        start_us=start_us,
        end_us=end_us,
        grouped=request.grouped,
        group_id=_uuid(request.group_id, "group_id", "INVALID_GROUP_ID")
        if request.group_id
        else None,
        current=request.current,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOrder:
    """What a caller of WatchExplanations wants; a state of None means any."""

    after: int | None
    heartbeat_s: float
    state: State | None
    grouped: bool

    def lets_through(self, ended: Record) -> bool:
        """Whether the watch sends it."""
        return self.state in (None, ended.state) and (ended.leads or not self.grouped)


def watch_request(request: pb.WatchExplanationsRequest) -> WatchOrder:
    """What the request asks for."""
    return WatchOrder(
        after=request.after_cursor if request.HasField("after_cursor") else None,
        heartbeat_s=heartbeat_s(
            request.heartbeat_interval, given=request.HasField("heartbeat_interval")
        ),
        state=_STATE.get(request.state),
        grouped=request.grouped,
    )


def _subjects(request: pb.ListExplanationsRequest) -> tuple[SubjectRef, ...]:
    wanted = [pb.Subject(alert_id=each) for each in request.alert_ids]
    wanted += [pb.Subject(anomaly_id=each) for each in request.anomaly_ids]
    if request.HasField("subject"):
        wanted.append(request.subject)
    if len(wanted) > SUBJECTS_MAX:
        raise invalid("subject", f"be at most {SUBJECTS_MAX} subjects", "TOO_MANY_SUBJECTS")
    return tuple(dict.fromkeys(subject_of(each) for each in wanted))


def subject_of(subject: pb.Subject) -> SubjectRef:
    """Raises: InvalidInput (SUBJECT_REQUIRED)."""
    named = subject.alert_id or subject.anomaly_id
    if not named or len(named) > SUBJECT_ID_CHARS_MAX or "\0" in named:
        should = f"name an alert_id or an anomaly_id of at most {SUBJECT_ID_CHARS_MAX} characters"
        raise invalid("subject", should, "SUBJECT_REQUIRED")
    kind = SubjectKind.ALERT if subject.alert_id else SubjectKind.ANOMALY
    return SubjectRef(kind=kind, id=named)


def _uuid(text: str, field: str, reason: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise invalid(field, "be a UUID", reason) from None


def _position(token: str, digest: bytes) -> Position:
    try:
        create_us, explanation_id, its_digest = _TOKEN.unpack(token_bytes(token))
    except struct.error:
        raise bad_token() from None
    if its_digest != digest:
        raise bad_token("be used with the same filter as the page before")
    return Position(create_us=create_us, explanation_id=UUID(bytes=explanation_id))


def token_bytes(token: str) -> bytes:
    """What is in a page token.

    Raises:
        InvalidInput: INVALID_PAGE_TOKEN.
    """
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise bad_token() from None


def digest_of(request: pb.ListExplanationsRequest | pb.ListChangesRequest) -> bytes:
    """What a page token is bound to: all fields but those of the page."""
    filters = type(request)()
    filters.CopyFrom(request)  # type: ignore[arg-type]
    filters.ClearField("page_token")
    filters.ClearField("page_size")
    return hashlib.blake2b(filters.SerializeToString(deterministic=True), digest_size=8).digest()


def _microseconds(stamp: Timestamp) -> int:
    if not -62135596800 <= stamp.seconds <= 253402300799 or not 0 <= stamp.nanos < 10**9:
        raise invalid("start_time", "be between the years 1 and 9999", "INVALID_TIME_RANGE")
    return stamp.ToMicroseconds()


def bad_token(should: str = "be the next_page_token of a page") -> InvalidInput:
    """The error of a page token that cannot be used."""
    return invalid("page_token", should, "INVALID_PAGE_TOKEN")


def invalid(field: str, should: str, reason: str) -> InvalidInput:
    """The error of a field that is not as it must be."""
    violation = Violation(field, f"must {should}")
    return InvalidInput(f"{field} must {should}", reason=reason, violations=[violation])
