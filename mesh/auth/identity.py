"""Who is calling, and what each service may ever be."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from mesh.errors import Unauthenticated

LOGIN_LINK: Final = "login-link"
"""The only scope of a token that a browser trades for a session; no method asks for it."""
ADMIN: Final = "admin"
USER_ISSUER: Final = "gateway"
"""The only issuer that may speak for people; every other one speaks for itself."""

_IDENTITY: Final = frozenset({"read:standing", "write:audit"})
SERVICE_SCOPES: Final[dict[str, frozenset[str]]] = {
    "ingest": _IDENTITY,
    "detector": _IDENTITY | {"read:stream", "read:samples"},
    "explainer": _IDENTITY
    | {"read:stream", "read:samples", "read:alerts", "read:analysis", "read:topology"},
    "incidents": _IDENTITY | {"read:alerts", "read:analysis", "read:topology"},
    "notifier": _IDENTITY | {"read:incidents", "read:analysis"},
    "topology": _IDENTITY | {"read:stream", "write:samples", "write:analysis"},
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
        epoch_us: What the token knew of its subject: it is refused when that has changed since,
            microseconds since the Unix epoch.
        session: The log-in that the token belongs to; its own id when there was none.
        is_login: Whether there was one: a person who works, not a token made for a program.
    """

    subject: str
    scopes: frozenset[str]
    issuer: str
    expires_at_s: float = float("inf")
    epoch_us: int = 0
    session: str = ""
    is_login: bool = False

    @property
    def is_service(self) -> bool:
        """Whether a service speaks for itself, so that no person's standing matters."""
        return self.subject.startswith("service:")


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
