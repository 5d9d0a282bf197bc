"""Pages of a list that goes down a number: an opaque token holds the place and the question."""

import base64
import binascii
import hashlib
import struct
from typing import Final

from mesh.errors import InvalidInput, Violation

DEFAULT_SIZE: Final = 100
MAX_SIZE: Final = 1000
FIRST: Final = (1 << 62) - 1

_FORMAT: Final = struct.Struct(">q8s")


def checked_size(page_size: int) -> int:
    """The size of the page; 100 when the caller said none.

    Raises:
        InvalidInput: INVALID_PAGE_SIZE, above 1000.
    """
    if page_size > MAX_SIZE:
        raise invalid("page_size", f"be at most {MAX_SIZE}", "INVALID_PAGE_SIZE")
    return page_size or DEFAULT_SIZE


def token_of(before: int, question: str) -> str:
    """The token with which the list goes on below `before`."""
    return base64.urlsafe_b64encode(_FORMAT.pack(before, _digest(question))).decode().rstrip("=")


def place_of(token: str, question: str) -> int:
    """Below which number the list goes on; its beginning for an empty token.

    Raises:
        InvalidInput: INVALID_PAGE_TOKEN, not one of ours or of another question.
    """
    if not token:
        return FIRST
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
        before, digest = _FORMAT.unpack(raw)
    except (binascii.Error, struct.error, ValueError):
        message = "be next_page_token as it was given"
        raise invalid("page_token", message, "INVALID_PAGE_TOKEN") from None
    if digest != _digest(question):
        message = "be of a page whose other fields were the same"
        raise invalid("page_token", message, "INVALID_PAGE_TOKEN")
    return int(before)


def invalid(field: str, should: str, reason: str) -> InvalidInput:
    """A field that must be changed."""
    violation = Violation(field, f"must {should}")
    return InvalidInput(f"{field} must {should}", reason=reason, violations=[violation])


def _digest(question: str) -> bytes:
    return hashlib.blake2b(question.encode(errors="replace"), digest_size=8).digest()
