"""What a request proves about its caller."""

import dataclasses
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers

from mesh.auth import ADMIN, Principal, TokenVerifier
from mesh.auth.identity import USER_ISSUER
from mesh.clock import Clock
from mesh.errors import SensusError, Unauthenticated
from services.gateway.auth.roles import KEY_SCOPES, SCOPES_BY_ROLE
from services.gateway.auth.secrets import KEY_PREFIX, hash_of
from services.gateway.auth.ttl_cache import TtlCache
from services.gateway.model import Account, ApiKey, Caller
from services.gateway.store import AccountStore, ApiKeyStore

_STANDING_TTL_S: Final = 5.0
"""How long a disabled account, a changed role or a revoked key may still work."""
_CACHE_SIZE: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A principal, and the limit of its own when it has one."""

    principal: Principal
    requests_per_minute: int | None = None


class Authenticator:
    """Takes bearer tokens of people and keys of senders. Fails closed."""

    def __init__(
        self,
        verifier: TokenVerifier,
        accounts: AccountStore,
        api_keys: ApiKeyStore,
        *,
        clock: Clock,
        key_requests_per_minute: int,
    ) -> None:
        """Accounts and keys are looked up again every few seconds."""
        self._verifier = verifier
        self._key_requests_per_minute = key_requests_per_minute
        self._accounts: TtlCache[str, Account | None] = TtlCache(
            accounts.find, ttl_s=_STANDING_TTL_S, max_size=_CACHE_SIZE, clock=clock
        )
        self._keys: TtlCache[bytes, ApiKey | None] = TtlCache(
            api_keys.find, ttl_s=_STANDING_TTL_S, max_size=_CACHE_SIZE, clock=clock
        )

    async def identify(self, headers: Headers, address: str) -> Caller:
        """The caller; never raises, a refusal is kept for whoever needs a principal."""
        try:
            proof = await self._prove(_credential(headers))
        except SensusError as refusal:
            return Caller(address=address, refusal=refusal)
        return Caller(
            address=address,
            principal=proof.principal,
            requests_per_minute=proof.requests_per_minute,
        )

    async def _prove(self, credential: str) -> Proof:
        if credential.startswith(KEY_PREFIX):
            return await self._prove_key(credential)
        principal = self._verifier.verify(credential)
        kind, _, name = principal.subject.partition(":")
        if principal.issuer != USER_ISSUER or kind != "user":
            raise Unauthenticated("this token is for the inside: log in for one of your own")
        return Proof(principal=_in_standing(principal, await self._accounts.get(name)))

    async def _prove_key(self, credential: str) -> Proof:
        key = await self._keys.get(hash_of(credential))
        if key is None:
            raise Unauthenticated("the API key is not valid: make a new one")
        return Proof(
            principal=Principal(
                subject=f"key:{key.key_id}", scopes=key.scopes & KEY_SCOPES, issuer=USER_ISSUER
            ),
            requests_per_minute=key.requests_per_minute or self._key_requests_per_minute,
        )


def _in_standing(principal: Principal, account: Account | None) -> Principal:
    """What the token says, as far as the account still allows it.

    Accounts are never deleted. A name that never had one is taken at its word: whoever holds the
    gateway's key may sign for it (`sensus token`), so that a lost password locks nobody out.
    """
    if account is None:
        return principal
    if account.disabled:
        raise Unauthenticated("the account is disabled", reason="ACCOUNT_DISABLED")
    role = SCOPES_BY_ROLE[account.role]
    scopes = principal.scopes if ADMIN in role else principal.scopes & role
    return dataclasses.replace(principal, scopes=scopes)


def _credential(headers: Headers) -> str:
    if key := headers.get("x-api-key", "").strip():
        return key if key.startswith(KEY_PREFIX) else f"{KEY_PREFIX}{key}"
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""
