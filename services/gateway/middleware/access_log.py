"""One log line and one observation per request, and X-Process-Time in the answer."""

import logging
import time
from collections.abc import Callable
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.http.paths import is_watched, route_of
from services.gateway.metrics import ACTIVE_REQUESTS, REQUEST_DURATION
from services.gateway.model import Caller

_CLOSED_BY_CLIENT: Final = 499

logger = logging.getLogger("sensus.gateway.access")


class AccessLog:
    """Times requests. Streams are timed to their end; X-Process-Time is the time to the headers."""

    def __init__(self, app: ASGIApp, clock_s: Callable[[], float] = time.perf_counter) -> None:
        """Wraps `app`."""
        self._app = app
        self._clock_s = clock_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started_s = self._clock_s()
        seen = {"status": _CLOSED_BY_CLIENT, "size": 0}

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                spent_s = self._clock_s() - started_s
                MutableHeaders(scope=message)["X-Process-Time"] = f"{spent_s:.6f}"
            seen["size"] += len(message.get("body", b""))
            await send(message)

        with ACTIVE_REQUESTS.track_inprogress():
            try:
                await self._app(scope, receive, noted)
            finally:
                _tell(scope, seen["status"], seen["size"], self._clock_s() - started_s)
        return None


def _tell(scope: Scope, status: int, size_bytes: int, duration_s: float) -> None:
    route = route_of(scope)
    REQUEST_DURATION.labels(scope["method"][:16], route, str(status)).observe(duration_s)
    level = logging.DEBUG if is_watched(scope["path"]) else logging.INFO
    caller: Caller | None = scope.get("sensus.caller")
    fields = {
        "method": scope["method"][:16],
        "path": scope["path"][:500],
        "route": route,
        "status": status,
        "duration_ms": round(duration_s * 1000, 3),
        "size_bytes": size_bytes,
        "correlation_id": scope.get("sensus.correlation_id", ""),
        "caller": caller.name if caller else "",
        "address": caller.address if caller else "",
    }
    logger.log(level, "request", extra=fields)
