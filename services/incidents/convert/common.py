"""Parts that many messages share."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from mesh.auth import current_principal
from mesh.errors import InvalidInput, Violation
from mesh.selector import Selector, SelectorError, parse
from sensus.core.v1 import series_pb2
from services.incidents.keeper.actions import Request

MAX_PAGE_SIZE: Final = 1000
_DEFAULT_PAGE_SIZE: Final = 100
_LATEST_S: Final = 253_402_214_400
_REQUEST_ID: Final = 128
_FARTHEST: Final = 2**62
_DEFAULT_HEARTBEAT_S: Final = 5.0
_HEARTBEAT_S: Final = (1.0, 60.0)


def invalid(field: str, rule: str, reason: str) -> InvalidInput:
    """The error for one bad field; `rule` says what to change."""
    return InvalidInput(f"{field}: {rule}", reason=reason, violations=[Violation(field, rule)])


def labels(known: Mapping[str, str]) -> list[series_pb2.Label]:
    """Labels for the wire, by name."""
    return [series_pb2.Label(name=name, value=value) for name, value in sorted(known.items())]


def timestamp(time_ms: int) -> Timestamp:
    """A timestamp for the wire."""
    return Timestamp(seconds=time_ms // 1000, nanos=time_ms % 1000 * 1_000_000)


def maybe_timestamp(time_ms: int) -> Timestamp | None:
    """A timestamp for the wire; None for 0."""
    return timestamp(time_ms) if time_ms else None


def time_ms(field: str, stamp: Timestamp, reason: str) -> int:
    """Milliseconds since the Unix epoch.

    Raises:
        InvalidInput: `reason`, before 1970 or after 9999.
    """
    if not (0 <= stamp.seconds < _LATEST_S and 0 <= stamp.nanos < 1_000_000_000):
        raise invalid(field, "must lie between 1970 and 9999", reason)
    return stamp.seconds * 1000 + stamp.nanos // 1_000_000


def selector(value: str, field: str = "selector") -> Selector:
    """A parsed selector.

    Raises:
        InvalidInput: INVALID_SELECTOR, with the place of the mistake.
    """
    try:
        found = parse(value)
    except SelectorError as error:
        raise invalid(field, str(error), "INVALID_SELECTOR") from error
    if "\0" in value:
        raise invalid(field, "the NUL character is not allowed", "INVALID_SELECTOR")
    return found


def severity(value: int, field: str = "min_severity") -> int:
    """A severity, 0 for any.

    Raises:
        InvalidInput: INVALID_SEVERITY.
    """
    if not 0 <= value <= 3:
        raise invalid(field, "must be info, warning or critical", "INVALID_SEVERITY")
    return value


def text(field: str, value: str, most: int, reason: str, *, least: int = 0) -> str:
    """A text of people.

    Raises:
        InvalidInput: `reason`.
    """
    if not least <= len(value) <= most or "\0" in value:
        rule = f"use {least} to {most} characters, and no NUL"
        raise invalid(field, rule, reason)
    return value


def page_size(asked: int) -> int:
    """The size of a page.

    Raises:
        InvalidInput: INVALID_PAGE_SIZE.
    """
    if asked > MAX_PAGE_SIZE:
        raise invalid("page_size", f"ask for at most {MAX_PAGE_SIZE}", "INVALID_PAGE_SIZE")
    return asked or _DEFAULT_PAGE_SIZE


def token(request: Message, *place: Any) -> str:
    """The token with which a list goes on behind `place`."""
    raw = msgspec.msgpack.encode([_question(request), *place])
    return base64.urlsafe_b64encode(raw).decode()


def place(request: Any, *first: Any) -> tuple[Any, ...]:
    """Where a list goes on; `first` for its beginning, which has the same types.

    Raises:
        InvalidInput: INVALID_PAGE_TOKEN.
    """
    if not request.page_token:
        return first
    try:
        raw = base64.b64decode(request.page_token, b"-_", validate=True)
        question, *found = msgspec.msgpack.decode(raw)
    except (binascii.Error, ValueError, TypeError, msgspec.MsgspecError):
        question, found = b"", []
    is_of_it = question == _question(request) and all(map(_is_stored, found))
    if not is_of_it or [type(each) for each in found] != [*map(type, first)]:
        rule = "use next_page_token as it was given, and keep all other fields"
        raise invalid("page_token", rule, "INVALID_PAGE_TOKEN")
    return tuple(found)


def _is_stored(part: Any) -> bool:
    """Whether the database takes a part of a place: anybody can make a token."""
    return "\0" not in part if isinstance(part, str) else -_FARTHEST <= part <= _FARTHEST


def _question(request: Any) -> bytes:
    bare = type(request)()
    bare.CopyFrom(request)
    bare.page_token, bare.page_size = "", 0
    content = bare.SerializeToString(deterministic=True)
    return hashlib.blake2b(content, digest_size=8).digest()


def asked(request: Any) -> Request:
    """Who asks for a change, and what makes it safe to repeat.

    Raises:
        InvalidInput: INVALID_REQUEST_ID.
    """
    request_id = text("request_id", request.request_id, _REQUEST_ID, "INVALID_REQUEST_ID")
    content = type(request).__name__.encode() + request.SerializeToString(deterministic=True)
    return Request(actor=current_principal().subject, request_id=request_id, content=content)


def heartbeat_s(request: Any) -> float:
    """Time between heartbeats.

    Raises:
        InvalidInput: INVALID_HEARTBEAT.
    """
    if not request.HasField("heartbeat_interval"):
        return _DEFAULT_HEARTBEAT_S
    wanted: float = request.heartbeat_interval.seconds + request.heartbeat_interval.nanos / 1e9
    least, most = _HEARTBEAT_S
    if not least <= wanted <= most:
        raise invalid("heartbeat_interval", "must be 1 to 60 seconds", "INVALID_HEARTBEAT")
    return wanted
