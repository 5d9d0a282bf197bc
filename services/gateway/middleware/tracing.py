"""One server span per request, child of the caller's; requests about alerts are always kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue
from starlette.types import Scope

from mesh.telemetry import parent_of
from mesh.telemetry.tracing import SAMPLE, current
from services.gateway.http.endpoint import Rate
from services.gateway.http.headers import HeaderList, header_of
from services.gateway.http.routing import Match

_STREAMS: Final = (b"text/event-stream", b"application/x-ndjson")


@contextmanager
def server_span(scope: Scope, match: Match) -> Iterator[None]:
    """Runs the block in the span of a request; probes and scrapes leave none."""
    if match.endpoint and match.endpoint.probe:
        yield
        return
    method, route = scope["method"], match.route
    attributes: dict[str, AttributeValue] = {
        "http.request.method": method,
        "url.path": scope["path"][:200],
        "http.route": route,
    }
    if match.endpoint and match.endpoint.rate is Rate.ALERTS:
        attributes[SAMPLE] = "always"
    parent = parent_of(header_of(scope, b"traceparent"))
    with current(
        f"{method} {route}", parent, SpanKind.SERVER, attributes, end_on_exit=False
    ) as opened:
        try:
            yield
        finally:
            if opened.is_recording():
                opened.end()


def note_answer(status: int, headers: HeaderList) -> None:
    """Notes on the span of the request how it is answered.

    The span of a stream ends here: one that lasts as long as the stream would show nothing until it
    is too late to be of use.
    """
    opened = trace.get_current_span()
    if not opened.is_recording():
        return
    opened.set_attribute("http.response.status_code", status)
    if status >= 500:
        opened.set_status(Status(StatusCode.ERROR, str(status)))
    if any(name == b"content-type" and value.startswith(_STREAMS) for name, value in headers):
        opened.end()
