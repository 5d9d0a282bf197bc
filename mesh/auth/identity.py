"""Who is calling, and what each service may ever be."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from mesh.errors import Unauthenticated

ADMIN: Final = "admin"
USER_ISSUER: Final = "gateway"
"""The only issuer that may speak for people; every other one speaks for itself."""

SERVICE_SCOPES: Final[dict[str, frozenset[str]]] = {
    "ingest": frozenset(),
    "detector": frozenset({"read:stream", "read:samples"}),
    "explainer": frozenset({"read:stream", "read:samples", "read:alerts", "read:analysis"}),
    "gateway": frozenset({"read:samples", "read:alerts", "read:analysis"}),
}
"""What a service may do in its own name. A token that claims more is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller that has proved who it is.

    Attributes:
        subject: `user:<name>`, `key:<id>` or `service:<name>`.
        scopes: What the token allows.
        issuer: The service that signed the token.
        expires_at_s: Unix time after which the token is worth nothing.
    """

    subject: str
    scopes: frozenset[str]
    issuer: str
    expires_at_s: float = float("inf")


_current: ContextVar[Principal] = ContextVar("sensus_principal")


def current_principal() -> Principal:
    """The caller of the rpc that is being handled.

    Raises:
        Unauthenticated: Outside an rpc, or in a method that is open to all.
    """
    try:
        return _current.get()
    except LookupError:
        raise Unauthenticated("send a bearer token", reason="TOKEN_MISSING") from None


def set_principal(principal: Principal) -> None:
    """Makes `principal` the caller for the rest of the current context."""
    _current.set(principal)
