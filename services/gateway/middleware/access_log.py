"""One log line and one observation per request."""

import logging
from collections.abc import Hashable
from functools import lru_cache
from typing import Final

from prometheus_client import Histogram
from starlette.types import Scope

from mesh.telemetry.sampling import kind_of, left_out
from services.gateway.http.routing import Match
from services.gateway.metrics import REQUEST_DURATION
from services.gateway.middleware.correlation import correlation_id
from services.gateway.model import Caller

CLOSED_BY_CLIENT: Final = 499
_PATH_LONGEST: Final = 200
_TEXT: Final = "request"

logger = logging.getLogger("sensus.gateway.access")


@lru_cache(1024)
def _duration(method: str, route: str, status: int) -> Histogram:
    return REQUEST_DURATION.labels(method, route, str(status))


def note(scope: Scope, match: Match, status: int, size_bytes: int, duration_s: float) -> None:
    """Notes a request that is over; `status` is CLOSED_BY_CLIENT where no answer was begun."""
    _duration(scope["method"], match.route, status).observe(duration_s)
    level = logging.DEBUG if match.endpoint and match.endpoint.probe else logging.INFO
    if not logger.isEnabledFor(level) or left_out(_kind(level, match.route, status)):
        return
    caller: Caller | None = scope.get("sensus.caller")
    fields = {
        "method": scope["method"],
        "path": scope["path"][:_PATH_LONGEST],
        "route": match.route,
        "status": status,
        "duration_ms": round(duration_s * 1000, 3),
        "size_bytes": size_bytes,
        "correlation_id": correlation_id(scope),
        "caller": caller.name if caller else "",
        "address": caller.address if caller else "",
    }
    logger.log(level, _TEXT, extra=fields)


@lru_cache(1024)
def _kind(level: int, route: str, status: int) -> Hashable:
    details = {"route": route, "status": status}
    return kind_of(logger.name, logging.getLevelName(level), _TEXT, details)
