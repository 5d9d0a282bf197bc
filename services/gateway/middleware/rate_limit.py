"""A limit per caller and kind of request, told in headers whether it is reached or not."""

from dataclasses import dataclass
from typing import Final

from starlette.types import Scope

from mesh.errors import Overloaded
from services.gateway.http.endpoint import Rate
from services.gateway.http.headers import HeaderList
from services.gateway.metrics import RATE_LIMITED
from services.gateway.model import Caller
from services.gateway.store.rate_limiter import WINDOW_S, RateLimiter, Window

_WINDOW: Final = "sensus.window"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Requests per minute and caller."""

    metrics: int
    alerts: int
    analysis: int
    telemetry: int
    other: int
    login: int

    def of(self, rate: Rate, caller: Caller) -> int:
        """The limit of one kind; an API key has its own for all kinds, and so has a log-in."""
        limit: int = caller.requests_per_minute or getattr(self, rate)
        return max(limit, self.login) if caller.is_login else limit


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Counts requests by caller and kind; those of a log-in apart from the same person's tokens."""

    limiter: RateLimiter
    limits: Limits

    async def take(self, scope: Scope, rate: Rate, caller: Caller) -> None:
        """Counts this request.

        Raises:
            Overloaded: RATE_LIMITED. It is shown as 429, or as 503 to a webhook.
        """
        limit = self.limits.of(rate, caller)
        # an open console must not use up what the same person's programs may ask
        kind = f"{rate}:login" if caller.is_login else rate
        window = await self.limiter.take(f"{kind}:{caller.name}", limit)
        if window is None:
            return
        scope[_WINDOW] = window
        if window.wait_s:
            RATE_LIMITED.labels(rate).inc()
            message = f"more than {limit} requests in {WINDOW_S} s: slow down"
            raise Overloaded(message, retry_after_s=window.wait_s, reason="RATE_LIMITED")


def add_headers(headers: HeaderList, scope: Scope) -> None:
    """Shows the window, if this request was counted; also where it was refused."""
    window: Window | None = scope.get(_WINDOW)
    if window is not None:
        headers += [
            (b"x-ratelimit-limit", b"%d" % window.limit),
            (b"x-ratelimit-remaining", b"%d" % window.remaining),
            (b"x-ratelimit-window", b"%d" % WINDOW_S),
        ]
