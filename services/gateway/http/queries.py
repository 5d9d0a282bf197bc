"""Query parameters of hand-written endpoints, and their pages: as the contract has them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from starlette.requests import Request

from mesh.errors import InvalidInput, Violation

T = TypeVar("T")

_SIZE: Final = 100
_SIZE_MOST: Final = 1000

PAGE_NAMES: Final = ("pageSize", "page_size", "pageToken", "page_token")


def page_parameters(default: int = _SIZE, most: int = _SIZE_MOST) -> tuple[dict[str, Any], ...]:
    """How the document describes what `Page.of` reads."""
    return (
        {
            "name": "pageSize",
            "in": "query",
            "description": f"Default {default}, at most {most}.",
            "schema": {"type": "integer", "minimum": 0, "maximum": most},
        },
        {
            "name": "pageToken",
            "in": "query",
            "description": "nextPageToken of the page before.",
            "schema": {"type": "string"},
        },
    )


@dataclass(frozen=True, slots=True)
class Page:
    """The part of a list that is asked for; without a token the first."""

    size: int
    token: str

    @classmethod
    def of(cls, request: Request, *, default: int = _SIZE, most: int = _SIZE_MOST) -> "Page":
        """What `pageSize` and `pageToken` say; a size of 0 is the default.

        Raises:
            InvalidInput: INVALID_FIELD.
        """
        name = "page_size" if "page_size" in request.query_params else "pageSize"
        size = integer(request, name, default=default, least=0, most=most) or default
        token = request.query_params.get("pageToken") or request.query_params.get("page_token", "")
        return cls(size, token)

    def cut(self, items: Sequence[T], token_of: Callable[[T], str]) -> tuple[Sequence[T], str]:
        """The items of this page of a whole list, and the token of the next one.

        Raises:
            InvalidInput: INVALID_PAGE_TOKEN.
        """
        start = 0
        if self.token:
            places = [place for place, item in enumerate(items) if token_of(item) == self.token]
            if not places:
                raise bad_page_token()
            start = places[0] + 1
        part = items[start : start + self.size]
        return part, token_of(part[-1]) if start + self.size < len(items) else ""


def bad_page_token() -> InvalidInput:
    """For a token that no page gave."""
    rule = "use the nextPageToken of the page before"
    violations = [Violation("pageToken", rule)]
    return InvalidInput(f"pageToken: {rule}", reason="INVALID_PAGE_TOKEN", violations=violations)


def only(request: Request, names: Collection[str]) -> None:
    """Raises `InvalidInput` for a parameter that the endpoint does not have."""
    for name in request.query_params:
        if name not in names:
            message = "is not a parameter of this method"
            violations = [Violation(name[:100], message)]
            raise InvalidInput(
                f"{name[:100]}: {message}", reason="UNKNOWN_FIELD", violations=violations
            )


def integer(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    """An integer parameter in a closed range.

    Raises:
        InvalidInput: INVALID_FIELD.
    """
    text = request.query_params.get(name, "")
    if not text:
        return default
    is_number = text.isascii() and text.isdecimal() and len(text) < 19
    if not is_number or not least <= int(text) <= most:
        message = f"must be {least} to {most}"
        violations = [Violation(name, message)]
        raise InvalidInput(f"{name}: {message}", reason="INVALID_FIELD", violations=violations)
    return int(text)
