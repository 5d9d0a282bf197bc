"""What a request proves about its caller."""

from dataclasses import dataclass

from starlette.types import Scope

from mesh.auth import Principal, Standings, TokenVerifier
from mesh.auth.identity import USER_ISSUER
from mesh.errors import SensusError, Unauthenticated
from services.gateway.auth.budget import AddressBudget
from services.gateway.auth.names import is_user_name
from services.gateway.auth.roles import KEY_SCOPES
from services.gateway.auth.standing import StandingKeeper
from services.gateway.http.headers import header_of
from services.gateway.model import Caller
from services.gateway.secrets import KEY_PREFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A principal, and the limit of its own when it has one."""

    principal: Principal
    requests_per_minute: int | None = None


class Authenticator:
    """Takes bearer tokens of people and keys of senders, without a query. Fails closed.

    What was proved before costs an address nothing; each new signature and each wrong key is taken
    from its budget first, so that a flood of them is refused before any work.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        keeper: StandingKeeper,
        *,
        budget: AddressBudget,
        key_requests_per_minute: int,
    ) -> None:
        """`key_requests_per_minute` is the limit of keys that have none of their own."""
        self._verifier = verifier
        self._keeper = keeper
        self._budget = budget
        self._key_requests_per_minute = key_requests_per_minute

    @property
    def _standings(self) -> Standings:
        return self._keeper.standings

    async def identify(self, scope: Scope, address: str) -> Caller:
        """The caller; never raises, a refusal is kept for whoever needs a principal."""
        try:
            proof = await self._prove(_credential(scope), address)
        except SensusError as refusal:
            return Caller(address=address, refusal=refusal)
        return Caller(
            address=address,
            principal=proof.principal,
            requests_per_minute=proof.requests_per_minute,
        )

    async def _prove(self, credential: str, address: str) -> Proof:
        if credential.startswith(KEY_PREFIX):
            return await self._prove_key(credential, address)
        principal = self._verifier.verified_before(credential)
        if principal is None:
            if credential:
                self._budget.spend(address)
            principal = self._verifier.verify(credential)
        kind, _, name = principal.subject.partition(":")
        if principal.issuer != USER_ISSUER or kind != "user":
            raise Unauthenticated("this token is for the inside: log in for one of your own")
        if not is_user_name(name):
            raise Unauthenticated("the token names nobody: log in for one of your own")
        return Proof(principal=self._standings.check(principal))

    async def _prove_key(self, credential: str, address: str) -> Proof:
        key = self._keeper.key(credential)
        if key is None:
            self._budget.spend(address)
            await self._keeper.ask_soon()
            key = self._keeper.key(credential)
        if key is None:
            raise Unauthenticated("the API key is not valid: make a new one")
        subject, scopes = f"key:{key.key_id}", key.scopes & KEY_SCOPES
        principal = Principal(subject=subject, scopes=scopes, issuer=USER_ISSUER)
        return Proof(
            principal=self._standings.check(principal),
            requests_per_minute=key.requests_per_minute or self._key_requests_per_minute,
        )


def _credential(scope: Scope) -> str:
    if key := header_of(scope, b"x-api-key").strip():
        return key if key.startswith(KEY_PREFIX) else f"{KEY_PREFIX}{key}"
    scheme, _, credential = header_of(scope, b"authorization").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""
