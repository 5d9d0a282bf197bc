"""Finds out who calls. Whether that is enough is for the guard of each endpoint to say."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.auth.authenticator import Authenticator
from services.gateway.config import Network
from services.gateway.http.address import client_address
from services.gateway.http.paths import API
from services.gateway.model import Caller


class Authentication:
    """Puts a `Caller` into the scope as `sensus.caller`, for every request."""

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, proxies: Sequence[Network]
    ) -> None:
        """Wraps `app`; `proxies` are believed about the client's address."""
        self._app = app
        self._authenticator = authenticator
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] == "http":
            scope["sensus.caller"] = await self._caller(scope)
        await self._app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        address = client_address(scope, self._proxies)
        if not scope["path"].startswith(API):
            return Caller(address=address)
        return await self._authenticator.identify(Headers(scope=scope), address)
