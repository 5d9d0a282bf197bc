"""The schema `gateway`, and in Redis the windows of rate limits. SQL is here and nowhere else."""

from dataclasses import dataclass

from mesh.postgres import Pool
from services.gateway.store.accounts import AccountStore
from services.gateway.store.api_keys import ApiKeyStore
from services.gateway.store.attempts import AttemptStore
from services.gateway.store.audit import AuditStore
from services.gateway.store.idempotency import IdempotencyStore
from services.gateway.store.login_links import LoginLinkStore
from services.gateway.store.refresh_tokens import RefreshTokenStore, Rotation
from services.gateway.store.standing import StandingStore

__all__ = [
    "AccountStore",
    "ApiKeyStore",
    "AttemptStore",
    "AuditStore",
    "IdempotencyStore",
    "LoginLinkStore",
    "RefreshTokenStore",
    "Rotation",
    "StandingStore",
    "Stores",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Everything in the schema."""

    accounts: AccountStore
    api_keys: ApiKeyStore
    attempts: AttemptStore
    audit: AuditStore
    idempotency: IdempotencyStore
    login_links: LoginLinkStore
    refresh_tokens: RefreshTokenStore
    standing: StandingStore

    @classmethod
    def of(cls, pool: Pool) -> "Stores":
        """All stores on one pool."""
        return cls(
            accounts=AccountStore(pool),
            api_keys=ApiKeyStore(pool),
            attempts=AttemptStore(pool),
            audit=AuditStore(pool),
            idempotency=IdempotencyStore(pool),
            login_links=LoginLinkStore(pool),
            refresh_tokens=RefreshTokenStore(pool),
            standing=StandingStore(pool),
        )
