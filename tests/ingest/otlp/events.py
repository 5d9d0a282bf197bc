"""Requests for traces and logs, and what protobuf objects say of them."""

import time
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

NOW_NS = time.time_ns() // 1_000_000 * 1_000_000


def fill(made: Any, attributes: dict[str, Any]) -> None:
    """Adds attributes; bytes, numbers and texts as what they are."""
    for key, value in attributes.items():
        added = made.add(key=key).value
        match value:
            case bool():
                added.bool_value = value
            case int():
                added.int_value = value
            case float():
                added.double_value = value
            case bytes():
                added.bytes_value = value
            case _:
                added.string_value = value


def traces(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> Any:
    """A request with spans of one service; what a span does not say has a usual value."""
    request = ExportTraceServiceRequest()
    made = request.resource_spans.add()
    fill(made.resource.attributes, {"service.name": "shop"} if resource is None else resource)
    for number, each in enumerate(spans, 1):
        usual = {
            "trace_id": bytes(15) + b"\x01",
            "span_id": number.to_bytes(8, "big"),
            "name": "work",
            "kind": 2,
            "start_time_unix_nano": NOW_NS - 10_000_000,
            "end_time_unix_nano": NOW_NS,
        }
        said = usual | {k: v for k, v in each.items() if k not in ("attributes", "error", "events")}
        span = made.scope_spans.add().spans.add(**said)
        fill(span.attributes, each.get("attributes", {}))
        for attributes in each.get("events", ()):
            event = span.events.add(name="exception", time_unix_nano=NOW_NS)
            fill(event.attributes, attributes)
        if each.get("error"):
            span.status.code = 2
    return request


def logs(*records: dict[str, Any], resource: dict[str, Any] | None = None) -> Any:
    """A request with records of one service, at info unless they say otherwise."""
    request = ExportLogsServiceRequest()
    made = request.resource_logs.add()
    fill(made.resource.attributes, {"service.name": "shop"} if resource is None else resource)
    for each in records:
        said = {"time_unix_nano": NOW_NS, "severity_number": 9}
        said |= {k: v for k, v in each.items() if k not in ("attributes", "body")}
        record = made.scope_logs.add().log_records.add(**said)
        if "body" in each:
            record.body.string_value = each["body"]
        fill(record.attributes, each.get("attributes", {}))
    return request
