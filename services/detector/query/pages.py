"""Pages of a list: an opaque token holds the place and the question it belongs to."""

import base64
import binascii
import hashlib
import struct
from datetime import UTC, datetime, timedelta
from typing import Final

from mesh.errors import InvalidInput, Violation
from services.detector.store import ListPlace

DEFAULT_SIZE: Final = 100
MAX_SIZE: Final = 1000

_FORMAT: Final = struct.Struct("<qq8s")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def checked_size(page_size: int) -> int:
    """The size of the page; 100 when the caller said none.

    Raises:
        InvalidInput: INVALID_PAGE_SIZE, above 1000.
    """
    if page_size > MAX_SIZE:
        message = f"page_size {page_size} is too large: at most {MAX_SIZE}"
        violations = [Violation("page_size", f"at most {MAX_SIZE}")]
        raise InvalidInput(message, reason="INVALID_PAGE_SIZE", violations=violations)
    return page_size or DEFAULT_SIZE


def token_of(place: ListPlace, question: str) -> str:
    """The token with which the list goes on after `place`."""
    time_us = (place.event_time - _EPOCH) // _MICROSECOND
    raw = _FORMAT.pack(time_us, place.cursor, _digest(question))
    return base64.urlsafe_b64encode(raw).decode()


def place_of(token: str, question: str) -> ListPlace:
    """Where the list goes on; its beginning for an empty token.

    Raises:
        InvalidInput: INVALID_PAGE_TOKEN, not one of ours or of another question.
    """
    if not token:
        return ListPlace()
    try:
        time_us, cursor, digest = _FORMAT.unpack(base64.b64decode(token, b"-_", validate=True))
        place = ListPlace(event_time=_EPOCH + timedelta(microseconds=time_us), cursor=cursor)
    except (binascii.Error, struct.error, ValueError, OverflowError):
        raise _invalid("use next_page_token as it was given") from None
    if digest != _digest(question):
        raise _invalid("keep all other fields as they were on the page before")
    return place


def _digest(question: str) -> bytes:
    return hashlib.blake2b(question.encode(), digest_size=8).digest()


def _invalid(advice: str) -> InvalidInput:
    message = f"page_token does not fit: {advice}"
    violations = [Violation("page_token", advice)]
    return InvalidInput(message, reason="INVALID_PAGE_TOKEN", violations=violations)
