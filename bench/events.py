"""Reading OTLP traces and logs, beside protobuf objects, in one run.

Both see all ids, times, attributes and exceptions; ours gives finished rows of events with their
names, objects give the dictionaries that such rows would be made of. CPU time of the best of rounds
that alternate, which a busy machine moves least; trust the ratio.

    make bench-events      or   python -m bench.events [--rounds 60] [--least 2]
"""

import argparse
import os
import time
from functools import partial
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console
from rich.table import Table

from bench.intake import check, row, with_least
from services.ingest.otlp.logs import OtlpLogsReader
from services.ingest.otlp.traces import OtlpTracesReader

SIZES = (500, 2000, 8000)
"""Spans or records in a body: SDKs send 512, Collectors 8192 by default."""
_ATTRIBUTES = {
    "http.request.method": "GET",
    "server.address": "cart.svc",
    "url.path": "/api/x/1",
    "user_agent.original": "curl/7.1 of something",
    "network.protocol.version": "1.1",
    "thread.name": "main",
    "client.address": "10.0.0.1",
}

console = Console(width=100)


def main() -> None:
    """Prints a row for each signal and size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60, help="of each measurement")
    asked = with_least(parser).parse_args()
    rounds, ratios = asked.rounds, dict[tuple[str, int], float]()
    table = Table(title="records a second and core: objects, rows, and the ratio")
    for column in ("signal", "records", "bytes", "objects", "rows", "ratio"):
        table.add_column(column, justify="right")
    now_ns = time.time_ns()
    traces, logs = OtlpTracesReader(), OtlpLogsReader()
    for size in SIZES:
        spans, records = spans_body(size, now_ns), records_body(size, now_ns)
        for name, body, objects, reader in (
            ("traces", spans, span_objects, traces),
            ("logs", records, record_objects, logs),
        ):
            read = partial(reader.read, now_ns=now_ns)
            ratios |= row(table, name, size, body, objects, read, rounds)
    console.print(table)
    check(ratios, asked.least)


def spans_body(spans: int, now_ns: int) -> bytes:
    """Spans of five services, ten attributes each, one in fifty with an exception."""
    request = ExportTraceServiceRequest()
    for service in range(5):
        made = request.resource_spans.add()
        made.resource.attributes.add(key="service.name").value.string_value = f"shop-{service}"
        scope = made.scope_spans.add()
        for number in range(spans // 5):
            span = scope.spans.add(
                trace_id=os.urandom(16),
                span_id=os.urandom(8),
                parent_span_id=os.urandom(8),
                name="GET",
                kind=2 + number % 2,
                start_time_unix_nano=now_ns - 10_000_000,
                end_time_unix_nano=now_ns,
            )
            for key, value in _ATTRIBUTES.items():
                span.attributes.add(key=key).value.string_value = value
            route = span.attributes.add(key="http.route").value
            route.string_value = f"/api/{'abcdefghijklmnopqrst'[number % 20]}/{{id}}"
            span.attributes.add(key="http.response.status_code").value.int_value = 200
            span.attributes.add(key="server.port").value.int_value = 8080
            if number % 50 == 0:
                event = span.events.add(name="exception", time_unix_nano=now_ns)
                event.attributes.add(key="exception.type").value.string_value = "ValueError"
                event.attributes.add(key="exception.message").value.string_value = "no such cart"
    return bytes(request.SerializeToString())


def records_body(records: int, now_ns: int) -> bytes:
    """Records of one service, one in three an error, three attributes each."""
    request = ExportLogsServiceRequest()
    made = request.resource_logs.add()
    made.resource.attributes.add(key="service.name").value.string_value = "cart"
    scope = made.scope_logs.add()
    lines = ("charge of %d failed: timeout after 7 ms", "loaded %d carts", "cache miss for k%d")
    for number in range(records):
        record = scope.log_records.add(
            time_unix_nano=now_ns,
            severity_number=9 if number % 3 else 17,
            trace_id=os.urandom(16),
            span_id=os.urandom(8),
        )
        record.body.string_value = lines[number % 3] % number
        for key in ("code.file.path", "code.function.name", "code.line.number"):
            record.attributes.add(key=key).value.string_value = "shop/cart.py"
    return bytes(request.SerializeToString())


def span_objects(body: bytes) -> Any:
    """All that rows need, by message objects."""
    return [
        (
            span.trace_id,
            span.span_id,
            span.parent_span_id,
            span.name,
            span.kind,
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            span.status.code,
            {a.key: a.value.string_value or a.value.int_value for a in span.attributes},
            [{a.key: a.value.string_value for a in event.attributes} for event in span.events],
        )
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def record_objects(body: bytes) -> Any:
    """All that rows need but the pattern of a line, by message objects."""
    return [
        (
            record.trace_id,
            record.span_id,
            record.time_unix_nano,
            record.severity_number,
            record.body.string_value,
            {a.key: a.value.string_value for a in record.attributes},
        )
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


if __name__ == "__main__":
    main()
