"""The application: every endpoint, and what stands around all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from services.gateway.auth.authenticator import Authenticator
from services.gateway.config import Config
from services.gateway.http.endpoint import Endpoint
from services.gateway.http.routing import Routes
from services.gateway.middleware.authorization import AuthorizationMiddleware
from services.gateway.middleware.error_handling import ErrorMiddleware
from services.gateway.middleware.observation import ObservationMiddleware
from services.gateway.middleware.rate_limit import Limits, RateLimit
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
    """What stands between a request and its endpoint."""

    authenticator: Authenticator
    limiter: RateLimiter


def build_app(endpoints: Sequence[Endpoint], guards: Guards, config: Config) -> ASGIApp:
    """The ASGI application of these endpoints; each wrapper's file says why it stands where."""
    routes = Routes(endpoints)
    app: ASGIApp = AuthorizationMiddleware(
        routes=routes,
        authenticator=guards.authenticator,
        rate_limit=RateLimit(limiter=guards.limiter, limits=_limits(config)),
        proxies=config.proxy_networks,
    )
    app = ErrorMiddleware(app, within_s=config.answer_within_s, max_bytes=config.max_body_bytes)
    if config.cors_origins:
        # outside of errors, so that pages may read them; before callers: a preflight has no token
        app = CORSMiddleware(
            app,
            allow_origins=list(config.cors_origins),
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=list(_REQUEST_HEADERS),
            expose_headers=list(_ANSWER_HEADERS),
        )
    return ObservationMiddleware(app, routes)


def _limits(config: Config) -> Limits:
    return Limits(
        metrics=config.rate_metrics,
        alerts=config.rate_alerts,
        analysis=config.rate_analysis,
        telemetry=config.rate_telemetry,
        other=config.rate_other,
        login=config.rate_login,
    )
