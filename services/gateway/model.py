"""What the gateway knows: people, keys, callers, audit entries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mesh.auth import Policy, Principal
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
class Grant:
    """What a successful log-in gives."""

    access_token: str
    refresh_token: str
    expires_in_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change of state. `row_hash` covers everything here and `prev_hash`."""

    entry_id: int
    occurred_at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, str]
    prev_hash: bytes
    row_hash: bytes


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


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """A change of an alert, ready for ingest."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    is_firing: bool
    start_ms: int
    end_ms: int | None
    generator_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentSample:
    """One sample, ready for ingest."""

    labels: Mapping[str, str]
    timestamp_ms: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One item of a request that was not taken, by its place in the request."""

    index: int
    reason: str
    message: str
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What became of the items of a request.

    Attributes:
        ids: alert_id of each alert by index, empty where it was refused; none for samples.
    """

    accepted: int
    duplicates: int
    refusals: tuple[Refusal, ...]
    ids: tuple[str, ...] = ()
