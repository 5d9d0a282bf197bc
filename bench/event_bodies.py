"""Bodies of OTLP traces and logs as senders send them, for benches."""

import os
from collections.abc import Callable
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_TEXTS: Final = {
    "http.request.method": "GET",
    "server.address": "cart.svc",
    "url.path": "/api/x/1",
    "user_agent.original": "curl/7.1 of something",
    "network.protocol.version": "1.1",
    "thread.name": "main",
    "client.address": "10.0.0.1",
}
_OLD_TEXTS: Final = {
    "http.method": "GET",
    "http.scheme": "http",
    "http.flavor": "1.1",
    "http.host": "cart.svc:8080",
    "net.peer.name": "cart.svc",
    "http.user_agent": "python-requests/2.32",
}
_STACK: Final = "Traceback (most recent call last):\n" + 12 * (
    '  File "/srv/shop/services/cart/views.py", line 217, in add\n    self._store.add(item)\n'
)


def web_spans(spans: int, now_ns: int) -> bytes:
    """Spans of five services, ten attributes each, one in fifty with an exception."""

    def fill(span: Any, number: int) -> None:
        _texts(span.attributes, _TEXTS | {"http.route": _route(number)})
        span.attributes.add(key="http.response.status_code").value.int_value = 200
        span.attributes.add(key="server.port").value.int_value = 8080
        if number % 50 == 0:
            _raise(span, now_ns, "")

    return _spans(spans, now_ns, fill, services=5)


def old_spans(spans: int, now_ns: int) -> bytes:
    """Spans of one service by the conventions before 2023, which Python senders still use."""

    def fill(span: Any, number: int) -> None:
        _texts(span.attributes, _OLD_TEXTS | {"http.url": f"http://cart.svc:8080/x/{number}"})
        _texts(span.attributes, {"http.route": _route(number), "http.target": "/x/1"})
        span.attributes.add(key="http.status_code").value.int_value = 200
        span.attributes.add(key="net.peer.port").value.int_value = 8080

    return _spans(spans, now_ns, fill)


def bare_spans(spans: int, now_ns: int) -> bytes:
    """Spans with a name and three attributes, as people write them by hand."""

    def fill(span: Any, number: int) -> None:
        span.name = f"work {_route(number)}"
        _texts(span.attributes, {"order.kind": "express", "tenant": "acme", "peer.service": "cart"})

    return _spans(spans, now_ns, fill)


def failing_spans(spans: int, now_ns: int) -> bytes:
    """Spans of calls of a database, each with an exception and its stack trace."""

    def fill(span: Any, number: int) -> None:
        said = {"db.system.name": "postgresql", "db.operation.name": "SELECT"}
        _texts(span.attributes, said | {"db.query.text": "SELECT * FROM carts WHERE id = $1"})
        span.status.code = 2
        _raise(span, now_ns, _STACK)

    return _spans(spans, now_ns, fill)


def plain_lines(records: int, now_ns: int) -> bytes:
    """Records of one service, one in three an error, with the three attributes of their code."""
    said = dict.fromkeys(("code.file.path", "code.function.name", "code.line.number"), "a/cart.py")
    lines = ("charge of %d failed: timeout after 7 ms", "loaded %d carts", "cache miss for k%d")
    return _records(records, now_ns, lambda n: lines[n % 3] % n, lambda n: n % 3 == 0, said)


def quiet_lines(records: int, now_ns: int) -> bytes:
    """Records of a service that is well: one in a hundred warns."""
    said = dict.fromkeys(("code.file.path", "code.function.name", "code.line.number"), "a/cart.py")
    line = "GET /api/cart/%d 200 in 7 ms"
    return _records(records, now_ns, lambda n: line % n, lambda n: n % 100 == 0, said)


def failing_lines(records: int, now_ns: int) -> bytes:
    """Errors alone, each with an exception and its stack trace."""
    said = {"exception.type": "shop.CardRefused", "exception.message": "no money"}
    line = "charge of order %d failed"
    said["exception.stacktrace"] = _STACK
    return _records(records, now_ns, lambda n: line % n, lambda n: True, said)


SPANS: Final[dict[str, Callable[[int, int], bytes]]] = {
    "web": web_spans,
    "old conventions": old_spans,
    "by hand": bare_spans,
    "all failing": failing_spans,
}
LINES: Final[dict[str, Callable[[int, int], bytes]]] = {
    "a third errors": plain_lines,
    "quiet": quiet_lines,
    "all failing": failing_lines,
}


def _spans(
    spans: int, now_ns: int, fill: Callable[[Any, int], None], *, services: int = 1
) -> bytes:
    request = ExportTraceServiceRequest()
    for service in range(services):
        made = request.resource_spans.add()
        made.resource.attributes.add(key="service.name").value.string_value = f"shop-{service}"
        scope = made.scope_spans.add()
        for number in range(spans // services):
            span = scope.spans.add(
                trace_id=os.urandom(16),
                span_id=os.urandom(8),
                parent_span_id=os.urandom(8),
                name="GET",
                kind=2 + number % 2,
                start_time_unix_nano=now_ns - 10_000_000,
                end_time_unix_nano=now_ns,
            )
            fill(span, number)
    return bytes(request.SerializeToString())


def _records(
    records: int,
    now_ns: int,
    line: Callable[[int], str],
    is_error: Callable[[int], bool],
    said: dict[str, str],
) -> bytes:
    request = ExportLogsServiceRequest()
    made = request.resource_logs.add()
    made.resource.attributes.add(key="service.name").value.string_value = "cart"
    scope = made.scope_logs.add()
    for number in range(records):
        record = scope.log_records.add(
            time_unix_nano=now_ns,
            severity_number=17 if is_error(number) else 9,
            trace_id=os.urandom(16),
            span_id=os.urandom(8),
        )
        record.body.string_value = line(number)
        _texts(record.attributes, said)
    return bytes(request.SerializeToString())


def _texts(into: Any, texts: dict[str, str]) -> None:
    for key, value in texts.items():
        into.add(key=key).value.string_value = value


def _raise(span: Any, now_ns: int, stack: str) -> None:
    event = span.events.add(name="exception", time_unix_nano=now_ns)
    _texts(event.attributes, {"exception.type": "ValueError", "exception.message": "no such cart"})
    if stack:
        event.attributes.add(key="exception.stacktrace").value.string_value = stack


def _route(number: int) -> str:
    return f"/api/{'abcdefghijklmnopqrst'[number % 20]}/{{id}}"
