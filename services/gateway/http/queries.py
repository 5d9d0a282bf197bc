"""Query parameters of hand-written endpoints."""

from collections.abc import Collection

from starlette.requests import Request

from mesh.errors import InvalidInput, Violation


def only(request: Request, names: Collection[str]) -> None:
    """Raises `InvalidInput` for a parameter that the endpoint does not have."""
    for name in request.query_params:
        if name not in names:
            told = "is not a parameter of this method"
            violations = [Violation(name[:100], told)]
            raise InvalidInput(
                f"{name[:100]}: {told}", reason="UNKNOWN_FIELD", violations=violations
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
        told = f"must be {least} to {most}"
        violations = [Violation(name, told)]
        raise InvalidInput(f"{name}: {told}", reason="INVALID_FIELD", violations=violations)
    return int(text)
