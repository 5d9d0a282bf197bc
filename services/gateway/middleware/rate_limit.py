"""A limit per caller and kind of request, told in headers whether it is reached or not."""

from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mesh.errors import Overloaded
from services.gateway.http.paths import is_free, rate_class
from services.gateway.metrics import RATE_LIMITED
from services.gateway.model import Caller
from services.gateway.store.rate_limiter import WINDOW_S, RateLimiter, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Requests per minute and caller."""

    metrics: int
    alerts: int
    analysis: int
    other: int

    def of(self, kind: str, caller: Caller) -> int:
        """The limit of one kind; an API key has its own for all kinds."""
        limit: int = caller.requests_per_minute or getattr(self, kind)
        return limit


class RateLimit:
    """Refuses with RESOURCE_EXHAUSTED, which `Errors` shows as 429, or 503 to a webhook."""

    def __init__(self, app: ASGIApp, limiter: RateLimiter, limits: Limits) -> None:
        """Wraps `app`."""
        self._app = app
        self._limiter = limiter
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http" or is_free(scope["path"]):
            return await self._app(scope, receive, send)
        kind, caller = rate_class(scope["path"]), scope["sensus.caller"]
        limit = self._limits.of(kind, caller)
        window = await self._limiter.take(f"{kind}:{caller.name}", limit)
        if window is None:
            return await self._app(scope, receive, send)
        scope["sensus.window"] = window
        if window.wait_s:
            RATE_LIMITED.labels(kind).inc()
            told = f"more than {limit} requests in {WINDOW_S} s: slow down"
            raise Overloaded(told, retry_after_s=window.wait_s, reason="RATE_LIMITED")
        return await self._app(scope, receive, send)


class RateLimitHeaders:
    """Tells the window in every answer, refusals included; stands outside `Errors`."""

    def __init__(self, app: ASGIApp) -> None:
        """Wraps `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""

        async def told(message: Message) -> None:
            window: Window | None = scope.get("sensus.window")
            if window and message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-RateLimit-Limit"] = str(window.limit)
                headers["X-RateLimit-Remaining"] = str(window.remaining)
                headers["X-RateLimit-Window"] = str(WINDOW_S)
            await send(message)

        await self._app(scope, receive, told)
