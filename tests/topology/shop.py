"""Traces of a small shop as OTLP: web asks cart, cart asks a database and a bank."""

import time
from typing import Any

from tests.ingest.otlp.events import logs, traces

MS = 1_000_000
WEB, CART = 1, 3


def trace(number: int, *, fails: bool = False, version: str = "1.0", **more: Any) -> list[Any]:
    """Requests with five spans of two services, and an error's line where it fails."""
    now_ns = more.pop("now_ns", None) or time.time_ns()
    trace_id = (0xABCD << 64 | number).to_bytes(16, "big")

    def span(
        which: int,
        parent: int,
        kind: int,
        start: int,
        end: int,
        attributes: dict[str, Any],
        **said: Any,
    ) -> dict[str, Any]:
        return {
            "trace_id": trace_id,
            "span_id": (number * 16 + which).to_bytes(8, "big"),
            "parent_span_id": (number * 16 + parent).to_bytes(8, "big") if parent else b"",
            "kind": kind,
            "start_time_unix_nano": now_ns - start * MS,
            "end_time_unix_nano": now_ns - end * MS,
            "attributes": attributes,
        } | said

    bad = {"error": True, "events": [{"exception.type": "BankError"}]} if fails else {}
    route = {"http.request.method": "GET", "http.route": "/buy"}
    asked = {"http.request.method": "GET", "server.address": "cart"}
    web = traces(
        span(WEB, 0, 2, 100, 0, route, error=fails),
        span(2, WEB, 3, 90, 10, asked, error=fails),
        resource={"service.name": "web", "service.version": version},
    )
    served = {"http.request.method": "GET", "http.route": "/cart/{id}"}
    query = {"db.system.name": "sqlite", "db.operation.name": "SELECT", "db.namespace": "carts"}
    bank = {"http.request.method": "POST", "server.address": "bank", "server.port": 443}
    cart = traces(
        span(CART, 2, 2, 85, 15, served, **bad),
        span(4, CART, 3, 80, 60, query),
        span(5, CART, 3, 50, 20, bank, name="POST"),
        resource={"service.name": "cart", "service.version": version, "service.instance.id": "c1"},
    )
    if not fails:
        return [web, cart]
    line = {
        "trace_id": trace_id,
        "span_id": (number * 16 + CART).to_bytes(8, "big"),
        "severity_number": 17,
        "time_unix_nano": now_ns - 16 * MS,
        "body": f"bank refused order {number}, password=hunter{number}",
        "attributes": {"exception.type": "BankError", "exception.message": "password=hunter2"},
    }
    return [web, cart, logs(line, resource={"service.name": "cart"})]
