"""The application: every endpoint, and what stands around all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from services.gateway.auth.authenticator import Authenticator
from services.gateway.config import Config
from services.gateway.http.endpoint import Endpoint
from services.gateway.http.problems import MethodNotAllowed, PathNotFound, problem_response
from services.gateway.middleware.access_log import AccessLog
from services.gateway.middleware.answer_time import AnswerTime
from services.gateway.middleware.authentication import Authentication
from services.gateway.middleware.body_limit import BodyLimit
from services.gateway.middleware.correlation import Correlation
from services.gateway.middleware.errors import Errors
from services.gateway.middleware.rate_limit import Limits, RateLimit, RateLimitHeaders
from services.gateway.middleware.security_headers import SecurityHeaders
from services.gateway.middleware.tracing import Tracing
from services.gateway.store.rate_limiter import RateLimiter

_REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "Last-Event-ID",
    "X-API-Key",
    "X-Correlation-ID",
    "traceparent",
)
_ANSWER_HEADERS = (
    "Retry-After",
    "X-Correlation-ID",
    "X-Process-Time",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Window",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """What the middleware needs."""

    authenticator: Authenticator
    limiter: RateLimiter


def build_app(endpoints: Sequence[Endpoint], guards: Guards, config: Config) -> ASGIApp:
    """The ASGI application of these endpoints."""
    app = Starlette(
        routes=[endpoint.route() for endpoint in endpoints],
        middleware=_middleware(guards, config),
        exception_handlers={HTTPException: _unmatched},
    )
    app.router.redirect_slashes = False
    return app


def _middleware(guards: Guards, config: Config) -> list[Middleware]:
    limits = Limits(
        metrics=config.rate_metrics,
        alerts=config.rate_alerts,
        analysis=config.rate_analysis,
        other=config.rate_other,
    )
    return [
        # first, so that every answer and every line below carries the id
        Middleware(Correlation),
        # around the log, so that its line has the ids of the span
        Middleware(Tracing),
        # around all that may refuse, so that refusals are logged and timed
        Middleware(AccessLog),
        # around errors: a refusal has the same headers as an answer
        Middleware(SecurityHeaders),
        Middleware(RateLimitHeaders),
        # before authentication: a preflight carries no token
        *_cors(config.cors_origins),
        # around everything that raises
        Middleware(Errors),
        # around all that asks a store or a service
        Middleware(AnswerTime, within_s=config.answer_within_s),
        # before anybody reads a body
        Middleware(BodyLimit, max_bytes=config.max_body_bytes),
        # finds the caller; each endpoint's guard decides
        Middleware(
            Authentication, authenticator=guards.authenticator, proxies=config.proxy_networks
        ),
        # last, because it counts by caller
        Middleware(RateLimit, limiter=guards.limiter, limits=limits),
    ]


def _cors(origins: Sequence[str]) -> list[Middleware]:
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=list(_REQUEST_HEADERS),
            expose_headers=list(_ANSWER_HEADERS),
        )
    ]


async def _unmatched(request: Request, error: Exception) -> Response:
    methods = _methods_of(request)
    if not methods:
        return problem_response(PathNotFound(request.scope["path"]))
    allowed = ", ".join(sorted(methods))
    response = problem_response(MethodNotAllowed(f"this path takes {allowed}"))
    response.headers["Allow"] = allowed
    return response


def _methods_of(request: Request) -> set[str]:
    return {
        method
        for route in request.app.routes
        if isinstance(route, Route) and route.path_regex.match(request.scope["path"])
        for method in route.methods or ()
    }
