"""What the gateway knows: people, keys, callers, audit entries."""

from dataclasses import dataclass
from datetime import datetime

from mesh.auth import Policy, Principal, Standing
from mesh.errors import SensusError, Unauthenticated


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person who may log in."""

    user_name: str
    role: str
    disabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A sender's key, without its secret.

    Attributes:
        requests_per_minute: None for the gateway's default.
    """

    key_id: str
    name: str
    owner: str
    scopes: frozenset[str]
    requests_per_minute: int | None
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingFrame:
    """What a service that follows is sent; without entries a heartbeat."""

    revision: int
    entries: tuple[Standing, ...] = ()
    complete: bool = False
    draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a log-in is checked against.

    Attributes:
        epoch_us: Goes into the tokens of this log-in.
    """

    account: Account
    password_hash: str
    epoch_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A log-in that goes on with its next refresh token."""

    session: str
    user_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a successful log-in gives."""

    user_name: str
    role: str
    access_token: str
    refresh_token: str
    expires_in_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sent a request: a principal, or the reason why there is none.

    Attributes:
        address: The client's address, proxies that are trusted taken off.
        requests_per_minute: A limit of the caller's own, for API keys.
    """

    address: str
    principal: Principal | None = None
    refusal: SensusError | None = None
    requests_per_minute: int | None = None

    @property
    def name(self) -> str:
        """The subject, or the address of someone unknown; limits count by it."""
        return self.principal.subject if self.principal else f"address:{self.address}"

    @property
    def is_login(self) -> bool:
        """Whether a person logged in, who works in a console or a terminal."""
        return self.principal is not None and self.principal.is_login

    def admitted(self, policy: Policy) -> Principal:
        """The principal, when the policy lets it pass.

        Raises:
            Unauthenticated: Nobody proved to be calling, or it could not be found out.
            PermissionDenied: SCOPE_MISSING.
        """
        if self.principal is None:
            raise self.refusal or Unauthenticated("send a bearer token", reason="TOKEN_MISSING")
        policy.check(self.principal)
        return self.principal
