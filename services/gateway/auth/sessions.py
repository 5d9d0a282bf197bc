"""Logging in and staying so."""

from dataclasses import dataclass
from typing import Final

from mesh.auth import TokenMinter
from mesh.errors import Overloaded, Unauthenticated
from services.gateway.auth.names import is_user_name
from services.gateway.auth.passwords import Passwords
from services.gateway.auth.roles import SCOPES_BY_ROLE
from services.gateway.auth.secrets import hash_of, new_refresh_token
from services.gateway.model import Account, Grant
from services.gateway.store import AccountStore, AttemptStore, RefreshTokenStore, Rotation

_REFUSED: Final = {
    Rotation.UNKNOWN: "the refresh token is not known: log in again",
    Rotation.EXPIRED: "the refresh token has expired: log in again",
    Rotation.REUSED: "the refresh token was used before, all of its log-in are ended: log in again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Trades a password, or a refresh token, for an access token."""

    accounts: AccountStore
    attempts: AttemptStore
    refresh_tokens: RefreshTokenStore
    passwords: Passwords
    minter: TokenMinter
    access_ttl_s: int
    refresh_ttl_s: int

    async def log_in(self, user_name: str, password: str, address: str) -> Grant:
        """Checks name and password.

        Raises:
            Unauthenticated: CREDENTIALS_WRONG, the same for a wrong name, password or a disabled
                account.
            Overloaded: LOGIN_LOCKED after too many failures of the user or the address.
        """
        if not is_user_name(user_name):
            raise _wrong()
        wait_s = await self.attempts.begin(address, user_name)
        if wait_s:
            told = "too many failed log-ins: wait before the next"
            raise Overloaded(told, retry_after_s=wait_s, reason="LOGIN_LOCKED")
        stored = await self.accounts.password_hash(user_name)
        fits = await self.passwords.matches(password, stored)
        account = await self.accounts.find(user_name) if fits else None
        if account is None or account.disabled:
            raise _wrong()
        await self.attempts.succeeded(address, user_name)
        token = new_refresh_token()
        await self.refresh_tokens.begin(hash_of(token), user_name, self.refresh_ttl_s)
        return self._grant(account, token)

    async def refresh(self, refresh_token: str) -> Grant:
        """Trades a refresh token for an access token and the next refresh token.

        Raises:
            Unauthenticated: REFRESH_TOKEN_INVALID; a token that is used twice ends its log-in.
        """
        token = new_refresh_token()
        traded = await self.refresh_tokens.rotate(
            hash_of(refresh_token), hash_of(token), self.refresh_ttl_s
        )
        if isinstance(traded, Rotation):
            raise Unauthenticated(_REFUSED[traded], reason="REFRESH_TOKEN_INVALID")
        account = await self.accounts.find(traded)
        if account is None or account.disabled:
            raise Unauthenticated("the account is disabled", reason="ACCOUNT_DISABLED")
        return self._grant(account, token)

    def _grant(self, account: Account, refresh_token: str) -> Grant:
        scopes = SCOPES_BY_ROLE[account.role]
        subject = f"user:{account.user_name}"
        return Grant(
            access_token=self.minter.mint(subject, scopes, self.access_ttl_s),
            refresh_token=refresh_token,
            expires_in_s=self.access_ttl_s,
        )


def _wrong() -> Unauthenticated:
    return Unauthenticated("wrong user or password", reason="CREDENTIALS_WRONG")
