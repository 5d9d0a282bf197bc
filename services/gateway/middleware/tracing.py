"""One server span per request, child of the caller's; requests about alerts are always kept."""

from typing import Final

from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mesh.telemetry import span
from services.gateway.paths import is_about_alerts, is_watched, route_of

_KNOWN_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Tracing:
    """Names the span by the route, which is known when the answer begins."""

    def __init__(self, app: ASGIApp) -> None:
        """Wraps `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request; probes and scrapes leave no span."""
        if scope["type"] != "http" or is_watched(scope["path"]):
            return await self._app(scope, receive, send)
        method = scope["method"] if scope["method"] in _KNOWN_METHODS else "_OTHER"
        with span(
            method,
            kind=SpanKind.SERVER,
            parent=Headers(scope=scope).get("traceparent", ""),
            attributes={"http.request.method": method, "url.path": scope["path"][:200]},
            always_sample=is_about_alerts(scope["path"]),
        ) as opened:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _note(opened, method, scope, message["status"])
                await send(message)

            return await self._app(scope, receive, noted)


def _note(opened: Span, method: str, scope: Scope, status: int) -> None:
    route = route_of(scope)
    opened.update_name(f"{method} {route}")
    opened.set_attribute("http.route", route)
    opened.set_attribute("http.response.status_code", status)
    if status >= 500:
        opened.set_status(Status(StatusCode.ERROR, str(status)))
