"""What a path is about, decided in one place for limits, traces and logs."""

from typing import Final

from starlette.routing import Route
from starlette.types import Scope

API: Final = "/api/"

_WATCHED: Final = frozenset({"/health", "/livez", "/readyz", "/metrics"})
_DOCUMENTS: Final = frozenset({"/docs", "/openapi.json"})


def is_watched(path: str) -> bool:
    """Probes and scrapes: neither traced nor limited."""
    return path in _WATCHED


def is_free(path: str) -> bool:
    """Paths without a rate limit."""
    return path in _WATCHED or path in _DOCUMENTS


def is_about_alerts(path: str) -> bool:
    """Alerts in and out, the webhook among them."""
    return path.startswith("/api/v1/alerts")


def is_webhook(method: str, path: str) -> bool:
    """Where alerts come in; answered 503, never 429."""
    return method == "POST" and path in ("/api/v1/alerts", "/api/v1/alerts:write")


def rate_class(path: str) -> str:
    """Which limit counts: metrics, alerts, analysis or other."""
    if path in ("/api/v1/metrics", "/api/v1/samples:write"):
        return "metrics"
    if is_about_alerts(path):
        return "alerts"
    if path.startswith(("/api/v1/analysis", "/api/v1/explanations")):
        return "analysis"
    return "other"


def route_of(scope: Scope) -> str:
    """The pattern of the route that answered; `unmatched` for none. Bounded, so a fit label."""
    route = scope.get("route")
    return route.path if isinstance(route, Route) else "unmatched"
