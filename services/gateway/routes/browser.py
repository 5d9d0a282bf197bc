"""/api/v1/auth/session: log-ins of browsers, whose refresh token stays in a cookie."""

from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mesh.auth import PUBLIC
from mesh.errors import InvalidInput, Unauthenticated, Violation
from services.gateway.auth import cookie
from services.gateway.auth.roles import SCOPES_BY_ROLE
from services.gateway.auth.sessions import Sessions
from services.gateway.http.bodies import JsonResponse, decoded
from services.gateway.http.endpoint import Endpoint, Operation, caller_of
from services.gateway.model import Grant
from services.gateway.routes.auth import SessionUser

_RETRY_S: Final = 30.0
"""Who reloads a page twice leaves the first answer, and its cookie, on the way; and all pages of a
browser that starts ask at once."""


class SessionRequest(msgspec.Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Name and password, or the token of a link that logs in once."""

    user_name: str = ""
    password: str = ""
    link: str = ""


class SessionToken(msgspec.Struct, kw_only=True):
    """An access token, and whose it is; its refresh token is in the cookie."""

    access_token: str
    expires_in: int
    user: SessionUser
    token_type: Literal["bearer"] = "bearer"  # noqa: S105


_BEGIN: Final = Operation(
    tag="Identity",
    name="BeginSession",
    summary="Logs a browser in, by name and password or by a link",
    description="The refresh token is a cookie: HttpOnly, Secure, SameSite=Strict. A link of "
    "`sensus up` is good once, for ten minutes.",
    body=SessionRequest,
    answer=SessionToken,
)
_REFRESH: Final = Operation(
    tag="Identity",
    name="RefreshSession",
    summary="Trades the cookie of a browser for an access token and the next cookie",
    description="Refused unless the browser says that a page of this origin asks "
    "(`Sec-Fetch-Site: same-origin`). One page at a time: a second use, later than 10 s after the "
    "first, ends the session.",
    answer=SessionToken,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserRoutes:
    """A session begun, and gone on with. It is ended as any other, by /api/v1/auth/logout."""

    sessions: Sessions

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of this subject; `Sessions` has a budget of its own, so no limit here."""
        return [
            Endpoint(
                method="POST",
                path="/api/v1/auth/session",
                policy=PUBLIC,
                handle=self._begin,
                operation=_BEGIN,
                rate=None,
            ),
            Endpoint(
                method="POST",
                path="/api/v1/auth/session:refresh",
                policy=PUBLIC,
                handle=self._refresh,
                operation=_REFRESH,
                rate=None,
            ),
        ]

    async def _begin(self, request: Request) -> Response:
        sent = await decoded(request, SessionRequest)
        address = caller_of(request).address
        if bool(sent.link) == bool(sent.user_name):
            rule = "send userName and password, or link"
            raise InvalidInput(rule, violations=[Violation("userName", rule)])
        if sent.link:
            return self._answer(await self.sessions.log_in_by_link(sent.link, address))
        try:
            return self._answer(await self.sessions.log_in(sent.user_name, sent.password, address))
        except Unauthenticated as error:
            # with the reason of HTTP Basic goes its challenge, and the browser would ask by itself
            raise Unauthenticated(error.message, reason="LOGIN_WRONG") from error

    async def _refresh(self, request: Request) -> Response:
        token = cookie.kept(request)
        address = caller_of(request).address
        return self._answer(await self.sessions.refresh(token, address, retry_s=_RETRY_S))

    def _answer(self, grant: Grant) -> Response:
        user = SessionUser(
            subject=f"user:{grant.user_name}",
            user_name=grant.user_name,
            role=grant.role,
            scopes=sorted(SCOPES_BY_ROLE[grant.role]),
        )
        response = JsonResponse(
            SessionToken(access_token=grant.access_token, expires_in=grant.expires_in_s, user=user)
        )
        response.headers["Cache-Control"] = "no-store"
        cookie.keep(response, grant.refresh_token, self.sessions.refresh_ttl_s)
        return response
