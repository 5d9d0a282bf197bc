"""Page tokens: where a listing goes on, bound to the question they came from. Pure."""

import base64
import binascii
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from mesh.errors import InvalidInput, Violation

P = TypeVar("P")
T = TypeVar("T")

NUMBER: Final[Any] = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""The place behind a series or a delivery."""

ALERT: Final[Any] = tuple[
    Annotated[int, Meta(ge=0, le=253_402_214_400_000)],
    Annotated[str, Meta(pattern=r"^[0-9a-f]{16}-[0-9]{1,15}\Z")],
]
"""The place behind an episode: its start in milliseconds and its alert_id."""

NAME: Final[Any] = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00]*\Z")]
"""The place behind a metric."""

_RULE: Final = "send the next_page_token of the page before, with all other fields as they were"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a listing; an empty token ends it."""

    items: list[T]
    next_token: str


async def page_of(
    found: AsyncIterator[T], size: int, question: object, position: Callable[[T], object]
) -> Page[T]:
    """Takes `size` items and, when there is another, the token that continues behind the last."""
    items: list[T] = []
    async for item in found:
        if len(items) == size:
            return Page(items, token_after(question, position(items[-1])))
        items.append(item)
    return Page(items, "")


def position_in(token: str, question: object, form: type[P]) -> P | None:
    """Where a listing goes on; None at its beginning.

    Anybody can make a token, so `form` must admit only what the database can take.

    Raises:
        InvalidInput: INVALID_PAGE_TOKEN, also for the token of another question.
    """
    if not token:
        return None
    try:
        raw = base64.urlsafe_b64decode(token.encode())
        mark, position = msgspec.msgpack.decode(raw, type=tuple[bytes, form])  # type: ignore[valid-type]
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise _refused() from error
    if mark != _mark(question):
        raise _refused()
    return position


def token_after(question: object, position: object) -> str:
    """The token that continues a listing behind a position."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((_mark(question), position))).decode()


def _mark(question: object) -> bytes:
    return blake2b(repr(question).encode(), digest_size=8).digest()


def _refused() -> InvalidInput:
    violation = Violation("page_token", _RULE)
    return InvalidInput(f"page_token: {_RULE}", reason="INVALID_PAGE_TOKEN", violations=[violation])
