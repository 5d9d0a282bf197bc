"""One server span per request, child of the caller's; requests about alerts are always kept."""

from typing import Any, Final

from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mesh.telemetry import parent_of, tracer
from mesh.telemetry.tracing import SAMPLE
from services.gateway.http.paths import is_about_alerts, is_watched, route_of

_KNOWN_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_STREAMS: Final = ("text/event-stream", "application/x-ndjson")


class Tracing:
    """Names the span by the route, which is known when the answer begins.

    The span of a stream ends there: one that lasts as long as the stream would show nothing until
    it is too late to be of use.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wraps `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request; probes and scrapes leave no span."""
        if scope["type"] != "http" or is_watched(scope["path"]):
            return await self._app(scope, receive, send)
        method = scope["method"] if scope["method"] in _KNOWN_METHODS else "_OTHER"
        with tracer.start_as_current_span(
            method,
            context=parent_of(Headers(scope=scope).get("traceparent", "")),
            kind=SpanKind.SERVER,
            attributes=_attributes(method, scope["path"]),
            end_on_exit=False,
        ) as opened:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _note(opened, method, scope, message)
                await send(message)

            try:
                return await self._app(scope, receive, noted)
            finally:
                if opened.is_recording():
                    opened.end()


def _attributes(method: str, path: str) -> dict[str, Any]:
    attributes = {"http.request.method": method, "url.path": path[:200]}
    return attributes | ({SAMPLE: "always"} if is_about_alerts(path) else {})


def _note(opened: Span, method: str, scope: Scope, start: Message) -> None:
    route, status = route_of(scope), start["status"]
    opened.update_name(f"{method} {route}")
    opened.set_attribute("http.route", route)
    opened.set_attribute("http.response.status_code", status)
    if status >= 500:
        opened.set_status(Status(StatusCode.ERROR, str(status)))
    if Headers(raw=start["headers"]).get("content-type", "").startswith(_STREAMS):
        opened.end()
