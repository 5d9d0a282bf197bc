"""Pages: an opaque token holds where a list goes on, and the question it belongs to."""

import base64
import binascii
import hashlib
from typing import Any, Final, TypeVar

import msgspec
from google.protobuf.message import Message

from mesh.errors import InvalidInput, Violation

DEFAULT_SIZE: Final = 100
MAX_SIZE: Final = 1000

P = TypeVar("P")


class _Token(msgspec.Struct, array_like=True):
    question: bytes
    place: Any


def checked_size(page_size: int) -> int:
    """The size of the page; 100 when the caller said none.

    Raises:
        InvalidInput: INVALID_PAGE_SIZE, above 1000.
    """
    if page_size > MAX_SIZE:
        raise invalid("page_size", f"must be at most {MAX_SIZE}", "INVALID_PAGE_SIZE")
    return page_size or DEFAULT_SIZE


def token_of(place: Any, request: Message) -> str:
    """The token with which the list of `request` goes on after `place`."""
    raw = msgspec.msgpack.encode(_Token(_digest(request), place))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def place_of(request: Any, form: type[P], first: P) -> P:
    """Where the list goes on, a value of `form`; `first` without a token.

    Raises:
        InvalidInput: INVALID_PAGE_TOKEN, not one of ours or of another question.
    """
    token = request.page_token
    if not token:
        return first
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
        known = msgspec.msgpack.decode(raw, type=_Token)
        place = msgspec.convert(known.place, form)
    except (binascii.Error, msgspec.DecodeError, msgspec.ValidationError, ValueError):
        rule = "must be next_page_token as it was given"
        raise invalid("page_token", rule, "INVALID_PAGE_TOKEN") from None
    if known.question != _digest(request):
        rule = "must be of a page whose other fields were the same"
        raise invalid("page_token", rule, "INVALID_PAGE_TOKEN")
    return place


def invalid(field: str, rule: str, reason: str) -> InvalidInput:
    """The error for one bad field; `rule` says what to change."""
    return InvalidInput(f"{field}: {rule}", reason=reason, violations=[Violation(field, rule)])


def _digest(request: Message) -> bytes:
    """Of all that is asked but which page, and how long it is."""
    asked = type(request)()
    asked.CopyFrom(request)
    asked.ClearField("page_token")
    asked.ClearField("page_size")
    return hashlib.blake2b(asked.SerializeToString(deterministic=True), digest_size=8).digest()
