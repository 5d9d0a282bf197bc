"""/api/v1/auth: a password or a refresh token becomes an access token."""

import base64
import binascii
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mesh.auth import PUBLIC
from mesh.errors import Overloaded, Unauthenticated
from services.gateway.auth.sessions import Sessions
from services.gateway.http.bodies import decoded, json_response
from services.gateway.http.endpoint import (
    AUTHENTICATED,
    Endpoint,
    Operation,
    caller_of,
    principal_of,
)
from services.gateway.metrics import LOGINS
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


class Me(msgspec.Struct, kw_only=True):
    """Who the token says you are."""

    subject: str
    user_name: str
    role: str
    scopes: list[str]
    expires_at: float | None


_TOKEN: Final = Operation(
    tag="Identity",
    name="CreateToken",
    summary="Trades name and password (HTTP Basic) for tokens",
    description="429 with Retry-After after too many failures of the user or the address.",
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
_ME: Final = Operation(tag="Identity", name="GetMe", summary="Tells who calls", answer=Me)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRoutes:
    """Log-in, refresh, and who am I."""

    sessions: Sessions

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of this subject. The first two are where tokens come from."""
        return [
            Endpoint(
                method="POST",
                path="/api/v1/auth/token",
                policy=PUBLIC,
                handle=self._token,
                operation=_TOKEN,
            ),
            Endpoint(
                method="POST",
                path="/api/v1/auth/refresh",
                policy=PUBLIC,
                handle=self._refresh,
                operation=_REFRESH,
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
        return _answer(await _counted(self.sessions.log_in(user_name, password, address)))

    async def _refresh(self, request: Request) -> Response:
        sent = await decoded(request, RefreshRequest)
        return _answer(await self.sessions.refresh(sent.refresh_token))

    async def _me(self, request: Request) -> Response:
        principal = principal_of(request)
        kind, _, name = principal.subject.partition(":")
        is_user = kind == "user"
        account = await self.sessions.accounts.find(name) if is_user else None
        ends_at_s = principal.expires_at_s
        return json_response(
            Me(
                subject=principal.subject,
                user_name=name if is_user else "",
                role=account.role if account else "",
                scopes=sorted(principal.scopes),
                expires_at=None if ends_at_s == float("inf") else ends_at_s,
            )
        )


async def _counted(log_in: Awaitable[Grant]) -> Grant:
    try:
        grant = await log_in
    except Unauthenticated:
        LOGINS.labels("refused").inc()
        raise
    except Overloaded:
        LOGINS.labels("locked").inc()
        raise
    LOGINS.labels("granted").inc()
    return grant


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise Unauthenticated("send name and password by HTTP Basic", reason="CREDENTIALS_MISSING")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        told = "the Basic credentials are not base64 of UTF-8"
        raise Unauthenticated(told, reason="CREDENTIALS_BROKEN") from None
    user_name, _, password = text.partition(":")
    return user_name, password


def _answer(grant: Grant) -> Response:
    response = json_response(
        Tokens(
            access_token=grant.access_token,
            refresh_token=grant.refresh_token,
            expires_in=grant.expires_in_s,
        )
    )
    response.headers["Cache-Control"] = "no-store"
    return response
