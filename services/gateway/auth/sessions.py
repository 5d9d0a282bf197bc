"""Logging in, staying so, and logging out."""

import time
from dataclasses import dataclass
from typing import Final

from mesh.auth import LOGIN_LINK, Principal, TokenMinter, TokenVerifier
from mesh.auth.identity import USER_ISSUER
from mesh.errors import (
    FailedPrecondition,
    InvalidInput,
    Overloaded,
    PermissionDenied,
    Unauthenticated,
)
from services.gateway.auth.budget import AddressBudget
from services.gateway.auth.names import is_user_name
from services.gateway.auth.passwords import Passwords
from services.gateway.auth.roles import SCOPES_BY_ROLE
from services.gateway.auth.standing import StandingKeeper
from services.gateway.metrics import LOGINS
from services.gateway.model import Credentials, Grant
from services.gateway.secrets import hash_of, new_refresh_token
from services.gateway.store import (
    AccountStore,
    AttemptStore,
    LoginLinkStore,
    RefreshTokenStore,
    Rotation,
    StandingStore,
)

_REFUSED: Final = {
    Rotation.UNKNOWN: "the refresh token is not known: log in again",
    Rotation.EXPIRED: "the refresh token has expired: log in again",
    Rotation.REUSED: "the refresh token was used before, so its session is ended: log in again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Trades a password, or a refresh token, for an access token, and ends what they began.

    Attributes:
        budget: What an address may ask for before a password or a token is looked at.
        keeper: Told of each end, so that it holds here with the answer.
    """

    accounts: AccountStore
    attempts: AttemptStore
    login_links: LoginLinkStore
    refresh_tokens: RefreshTokenStore
    standing: StandingStore
    keeper: StandingKeeper
    passwords: Passwords
    budget: AddressBudget
    minter: TokenMinter
    verifier: TokenVerifier
    access_ttl_s: int
    refresh_ttl_s: int

    async def log_in(self, user_name: str, password: str, address: str) -> Grant:
        """Checks name and password.

        Raises:
            Unauthenticated: CREDENTIALS_WRONG, the same for a wrong name, password or a disabled
                account.
            Overloaded: LOGIN_DELAYED after failures of this user from this address, ADDRESS_LIMITED
                after very many attempts from it.
        """
        try:
            found = await self._known(user_name, password, address)
        except Unauthenticated:
            LOGINS.labels("refused").inc()
            raise
        except Overloaded:
            LOGINS.labels("delayed").inc()
            raise
        return await self._begun(found)

    async def log_in_by_link(self, link: str, address: str) -> Grant:
        """Trades the token of a link, which is good once.

        Raises:
            Unauthenticated: LINK_INVALID, what was sent is no such token, has expired or was used;
                ACCOUNT_DISABLED.
            Overloaded: ADDRESS_LIMITED.
        """
        self.budget.spend(address)
        principal = self._linked(link)
        if not await self.login_links.use(principal.session, principal.expires_at_s):
            raise _unfit_link()
        found = await self.accounts.credentials(_user_name_of(principal))
        if found is None or found.account.disabled:
            raise _disabled()
        return await self._begun(found)

    async def refresh(self, refresh_token: str, address: str, *, retry_s: float = 0.0) -> Grant:
        """Trades a refresh token for an access token and the next refresh token.

        Args:
            refresh_token: As it was given.
            address: Of the caller.
            retry_s: How long after its first use the same token may come again, and gets the same.

        Raises:
            Unauthenticated: REFRESH_TOKEN_INVALID; a token that is used twice ends its log-in.
            Overloaded: ADDRESS_LIMITED.
        """
        self.budget.spend(address)
        traded = await self.refresh_tokens.rotate(refresh_token, self.refresh_ttl_s, retry_s)
        if isinstance(traded, Rotation):
            raise Unauthenticated(_REFUSED[traded], reason="REFRESH_TOKEN_INVALID")
        session, token = traded
        found = await self.accounts.credentials(session.user_name)
        if found is None or found.account.disabled:
            raise _disabled()
        return self._grant(found, session.session, token)

    async def log_out(self, principal: Principal) -> None:
        """Ends the session of a token: its refresh tokens and all of its access tokens.

        Raises:
            FailedPrecondition: NO_SESSION, the caller is an API key.
        """
        _user_name_of(principal)
        left_s = max(principal.expires_at_s - time.time(), self.access_ttl_s)
        await self.standing.end_session(principal.subject, principal.session, left_s)
        await self.keeper.notice()

    async def change_password(
        self, principal: Principal, old_password: str, new_password: str, address: str
    ) -> None:
        """Gives the caller a new password and ends all of its other sessions.

        Raises:
            PermissionDenied: CREDENTIALS_WRONG, the old password is not right.
            InvalidInput: PASSWORD_UNFIT.
            FailedPrecondition: NO_SESSION or NO_ACCOUNT, there is no password to change.
            Overloaded: LOGIN_DELAYED or ADDRESS_LIMITED.
        """
        user_name = _user_name_of(principal)
        self.budget.spend(address)
        if await self.accounts.find(user_name) is None:
            message = "this name has no account, and so no password: ask an admin to make one"
            raise FailedPrecondition(message, reason="NO_ACCOUNT")
        if await self._checked(user_name, old_password, address) is None:
            raise PermissionDenied("the old password is wrong", reason="CREDENTIALS_WRONG")
        if new_password == old_password:
            message = "the new password is the old one: choose another"
            raise InvalidInput(message, reason="PASSWORD_UNFIT")
        await self.accounts.update(
            principal.subject,
            user_name,
            password_hash=await self.passwords.hash(new_password),
            kept_session=principal.session,
        )
        await self.keeper.notice()

    async def _known(self, user_name: str, password: str, address: str) -> Credentials:
        self.budget.spend(address)
        found = (
            await self._checked(user_name, password, address) if is_user_name(user_name) else None
        )
        if found is None:
            raise _wrong()
        return found

    async def _checked(self, user_name: str, password: str, address: str) -> Credentials | None:
        """The user's credentials if the password is right; no faster when there is no user."""
        wait_s = await self.attempts.begin(user_name, address)
        if wait_s:
            message = "too many wrong passwords for this user from this address: wait"
            raise Overloaded(message, retry_after_s=wait_s, reason="LOGIN_DELAYED")
        found = await self.accounts.credentials(user_name)
        fits = await self.passwords.matches(password, found.password_hash if found else None)
        if found is None or not fits or found.account.disabled:
            return None
        await self.attempts.succeeded(user_name, address)
        return found

    def _linked(self, link: str) -> Principal:
        """Whom a link logs in; its subject is a user's."""
        try:
            principal = self.verifier.verify(link)
        except Unauthenticated as error:
            raise _unfit_link() from error
        if principal.issuer != USER_ISSUER or principal.scopes != {LOGIN_LINK}:
            raise _unfit_link()
        return principal

    async def _begun(self, found: Credentials) -> Grant:
        token, user_name = new_refresh_token(), found.account.user_name
        session = await self.refresh_tokens.begin(hash_of(token), user_name, self.refresh_ttl_s)
        LOGINS.labels("granted").inc()
        return self._grant(found, session, token)

    def _grant(self, found: Credentials, session: str, refresh_token: str) -> Grant:
        return Grant(
            user_name=found.account.user_name,
            role=found.account.role,
            access_token=self.minter.mint(
                f"user:{found.account.user_name}",
                SCOPES_BY_ROLE[found.account.role],
                self.access_ttl_s,
                epoch_us=found.epoch_us,
                session=session,
            ),
            refresh_token=refresh_token,
            expires_in_s=self.access_ttl_s,
        )


def _user_name_of(principal: Principal) -> str:
    kind, _, user_name = principal.subject.partition(":")
    if kind != "user":
        message = "an API key has no session and no password: revoke it instead"
        raise FailedPrecondition(message, reason="NO_SESSION")
    return user_name


def _disabled() -> Unauthenticated:
    return Unauthenticated("the account is disabled", reason="ACCOUNT_DISABLED")


def _unfit_link() -> Unauthenticated:
    message = "the link has expired or was used: make another with `sensus login`"
    return Unauthenticated(message, reason="LINK_INVALID")


def _wrong() -> Unauthenticated:
    return Unauthenticated("wrong user or password", reason="CREDENTIALS_WRONG")
