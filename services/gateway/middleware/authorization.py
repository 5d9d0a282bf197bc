"""From a request to its endpoint: who calls, whether it is too often, and the answer."""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from mesh.errors import Unavailable
from services.gateway.auth.authenticator import Authenticator
from services.gateway.config import Network
from services.gateway.http.address import client_address
from services.gateway.http.connection import PROBES_ONLY
from services.gateway.http.endpoint import Endpoint, Rate
from services.gateway.http.problems import MethodNotAllowed, PathNotFound
from services.gateway.http.routing import Routes, match_of
from services.gateway.middleware.rate_limit import RateLimit
from services.gateway.model import Caller

_CONNECTIONS_RETRY_AFTER_S: Final = 5.0


class AuthorizationMiddleware:
    """Lets the endpoint answer whom its guard lets pass. Whatever is wrong is raised."""

    def __init__(
        self,
        *,
        routes: Routes,
        authenticator: Authenticator,
        rate_limit: RateLimit,
        proxies: Sequence[Network],
    ) -> None:
        """`proxies` are believed about the client's address."""
        self._routes = routes
        self._authenticator = authenticator
        self._rate_limit = rate_limit
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request.

        Raises:
            Unavailable: TOO_MANY_CONNECTIONS.
            Overloaded: RATE_LIMITED.
            PathNotFound: Nobody serves the path.
            MethodNotAllowed: The path has other methods.
            SensusError: What the endpoint raises.
        """
        endpoint = match_of(scope).endpoint
        if PROBES_ONLY in scope:
            _check_is_probe(endpoint)
        caller = scope["sensus.caller"] = await self._caller(scope, endpoint)
        rate = endpoint.rate if endpoint else Rate.OTHER
        if rate is not None:
            await self._rate_limit.take(scope, rate, caller)
        if endpoint is None:
            raise self._nowhere(scope)
        response = await endpoint.answer(Request(scope, receive, send))
        await response(scope, receive, send)

    async def _caller(self, scope: Scope, endpoint: Endpoint | None) -> Caller:
        """Whether it may call is for the guard of the endpoint to say."""
        address = client_address(scope, self._proxies)
        if endpoint is None or endpoint.policy.public:
            return Caller(address=address)
        return await self._authenticator.identify(scope, address)

    def _nowhere(self, scope: Scope) -> MethodNotAllowed | PathNotFound:
        if allowed := match_of(scope).allowed:
            return MethodNotAllowed(allowed)
        return PathNotFound(scope["path"], self._routes.near(scope["path"]))


def _check_is_probe(endpoint: Endpoint | None) -> None:
    """Beyond the limits of connections only probes are answered."""
    if endpoint is None or not endpoint.probe:
        raise Unavailable(
            "too many connections are open: close some, or try again later",
            reason="TOO_MANY_CONNECTIONS",
            retry_after_s=_CONNECTIONS_RETRY_AFTER_S,
        )
