"""What a role may do, and which scopes there are. The only place that says so."""

from typing import Final

from mesh.auth import ADMIN
from mesh.errors import InvalidInput, Violation

_VIEWER: Final = frozenset(
    {
        "read:samples",
        "read:alerts",
        "read:analysis",
        "read:incidents",
        "read:notices",
        "read:topology",
    }
)
_OPERATOR: Final = _VIEWER | {
    "read:stream",
    "write:analysis",
    "write:samples",
    "write:alerts",
    "write:incidents",
    "write:traces",
    "write:logs",
}

SCOPES_BY_ROLE: Final[dict[str, frozenset[str]]] = {
    "viewer": _VIEWER,
    "operator": _OPERATOR,
    "admin": frozenset({ADMIN}),
}
KEY_SCOPES: Final = _OPERATOR
"""What an API key may carry: never `admin`, a key cannot make users or keys."""


def check_role(role: str) -> None:
    """Raises `InvalidInput` for a role that does not exist."""
    if role not in SCOPES_BY_ROLE:
        _refuse("role", role, SCOPES_BY_ROLE)


def check_key_scopes(scopes: list[str]) -> None:
    """Raises `InvalidInput` for no scopes or for one that a key may not carry."""
    if not scopes:
        _refuse("scopes", "", KEY_SCOPES)
    for index, scope in enumerate(scopes):
        if scope not in KEY_SCOPES:
            _refuse(f"scopes[{index}]", scope, KEY_SCOPES)


def _refuse(field: str, value: str, allowed: frozenset[str] | dict[str, frozenset[str]]) -> None:
    rule = f"must be one of {', '.join(sorted(allowed))}"
    raise InvalidInput(f"{field}: {value!r} {rule}", violations=[Violation(field, rule)])
