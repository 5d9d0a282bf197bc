"""/api/v1/auth: a password or a refresh token becomes an access token."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mesh.auth import PUBLIC
from mesh.errors import Unauthenticated
from services.gateway.auth import cookie
from services.gateway.auth.sessions import Sessions
from services.gateway.http.bodies import JsonResponse, decoded
from services.gateway.http.endpoint import (
    AUTHENTICATED,
    Endpoint,
    Operation,
    caller_of,
    principal_of,
)
from services.gateway.model import Grant


class Tokens(msgspec.Struct, kw_only=True):
    """An access token, and the refresh token that is good for one next time."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: Literal["bearer"] = "bearer"  # noqa: S105


class RefreshRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A refresh token that was not used yet."""

    refresh_token: str


class PasswordChange(msgspec.Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """The password that holds now, and the one that shall."""

    old_password: str
    new_password: str


class SessionUser(msgspec.Struct, rename="camel", kw_only=True):
    """Who is logged in."""

    subject: str
    user_name: str
    role: str
    scopes: list[str]


class CurrentUser(SessionUser, kw_only=True):
    """Who the token says you are."""

    expires_at: datetime | None


_TOKEN: Final = Operation(
    tag="Identity",
    name="CreateToken",
    summary="Trades name and password (HTTP Basic) for tokens",
    description="429 with Retry-After after failures of this user from this address: each one "
    "more doubles the wait. An address that the user has logged in from before never waits.",
    answer=Tokens,
)
_REFRESH: Final = Operation(
    tag="Identity",
    name="RefreshToken",
    summary="Trades a refresh token for new tokens",
    description="Each refresh token is good once; a second use ends the whole log-in.",
    body=RefreshRequest,
    answer=Tokens,
)
_LOGOUT: Final = Operation(
    tag="Identity",
    name="LogOut",
    summary="Ends the session of the token",
    description="Its refresh tokens and all of its access tokens, everywhere within five seconds.",
    status=204,
)
_PASSWORD: Final = Operation(
    tag="Identity",
    name="ChangePassword",
    summary="Changes the caller's own password",
    description="Ends all other sessions of the caller within five seconds; this one goes on.",
    body=PasswordChange,
    status=204,
)
_ME: Final = Operation(tag="Identity", name="GetMe", summary="Tells who calls", answer=CurrentUser)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRoutes:
    """Log-in, refresh, log-out, own password, and who am I."""

    sessions: Sessions

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of this subject.

        The first two are where tokens come from. They count against no limit of requests:
        `Sessions` has a budget of its own, so that other traffic of an address keeps nobody out.
        """
        return [
            Endpoint(
                method="POST",
                path="/api/v1/auth/token",
                policy=PUBLIC,
                handle=self._token,
                operation=_TOKEN,
                rate=None,
            ),
            Endpoint(
                method="POST",
                path="/api/v1/auth/refresh",
                policy=PUBLIC,
                handle=self._refresh,
                operation=_REFRESH,
                rate=None,
            ),
            Endpoint(
                method="POST",
                path="/api/v1/auth/logout",
                policy=AUTHENTICATED,
                handle=self._log_out,
                operation=_LOGOUT,
                audited=True,
            ),
            Endpoint(
                method="POST",
                path="/api/v1/auth/password",
                policy=AUTHENTICATED,
                handle=self._change_password,
                operation=_PASSWORD,
                audited=True,
            ),
            Endpoint(
                method="GET",
                path="/api/v1/auth/me",
                policy=AUTHENTICATED,
                handle=self._me,
                operation=_ME,
            ),
        ]

    async def _token(self, request: Request) -> Response:
        user_name, password = _basic(request.headers.get("authorization", ""))
        address = caller_of(request).address
        return _answer(await self.sessions.log_in(user_name, password, address))

    async def _refresh(self, request: Request) -> Response:
        sent = await decoded(request, RefreshRequest)
        address = caller_of(request).address
        return _answer(await self.sessions.refresh(sent.refresh_token, address))

    async def _log_out(self, request: Request) -> Response:
        await self.sessions.log_out(principal_of(request))
        response = Response(status_code=204)
        cookie.forget(response)
        return response

    async def _change_password(self, request: Request) -> Response:
        sent = await decoded(request, PasswordChange)
        caller = caller_of(request)
        await self.sessions.change_password(
            principal_of(request), sent.old_password, sent.new_password, caller.address
        )
        return Response(status_code=204)

    async def _me(self, request: Request) -> Response:
        principal = principal_of(request)
        kind, _, name = principal.subject.partition(":")
        is_user = kind == "user"
        account = await self.sessions.accounts.find(name) if is_user else None
        ends_at_s = principal.expires_at_s
        return JsonResponse(
            CurrentUser(
                subject=principal.subject,
                user_name=name if is_user else "",
                role=account.role if account else "",
                scopes=sorted(principal.scopes),
                expires_at=None if ends_at_s == inf else datetime.fromtimestamp(ends_at_s, UTC),
            )
        )


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise Unauthenticated("send name and password by HTTP Basic", reason="CREDENTIALS_MISSING")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        message = "the Basic credentials are not base64 of UTF-8"
        raise Unauthenticated(message, reason="CREDENTIALS_BROKEN") from None
    user_name, _, password = text.partition(":")
    return user_name, password


def _answer(grant: Grant) -> Response:
    response = JsonResponse(
        Tokens(
            access_token=grant.access_token,
            refresh_token=grant.refresh_token,
            expires_in=grant.expires_in_s,
        )
    )
    response.headers["Cache-Control"] = "no-store"
    return response
