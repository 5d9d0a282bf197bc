"""Reading OTLP traces and logs, beside protobuf objects, in one run.

Both see all ids, times, known attributes and exceptions; ours gives finished rows of events with
their names and patterns, objects give the dictionaries that such rows would be made of. CPU time of
the best of rounds that alternate, which a busy machine moves least; trust the ratio.

    make bench-events      or   python -m bench.events [--rounds 60] [--least 2]
"""

import argparse
import time
from functools import partial
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console
from rich.table import Table

from bench.event_bodies import LINES, SPANS
from bench.intake import check, row, with_least
from services.ingest.otlp.known import PLACE
from services.ingest.otlp.logs import OtlpLogsReader
from services.ingest.otlp.traces import OtlpTracesReader

SIZES = (500, 2000, 8000)
"""Spans or records in a body: SDKs send 512, Collectors 8192 by default."""

console = Console(width=100)


def main() -> None:
    """Prints a row for each signal and size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60, help="of each measurement")
    asked = with_least(parser).parse_args()
    rounds, ratios = asked.rounds, dict[tuple[str, int], float]()
    table = Table(title="records a second and core: objects, rows, and the ratio")
    for column in ("body", "records", "bytes", "objects", "rows", "ratio"):
        table.add_column(column, justify="right")
    now_ns = time.time_ns()
    for signal, bodies, objects, reader in (
        ("traces", SPANS, span_objects, OtlpTracesReader()),
        ("logs", LINES, record_objects, OtlpLogsReader()),
    ):
        read = partial(reader.read, now_ns=now_ns)
        for name, make in bodies.items():
            for size in SIZES:
                body = make(size, now_ns)
                ratios |= row(table, f"{signal}: {name}", size, body, objects, read, rounds)
    console.print(table)
    check(ratios, asked.least)


def span_objects(body: bytes) -> Any:
    """All that rows need, by message objects; attributes that no row needs are passed over."""
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
            _known(span.attributes),
            [_known(event.attributes) for event in span.events if event.name == "exception"],
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
            _known(record.attributes),
        )
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


def _known(attributes: Any) -> dict[str, Any]:
    found = {}
    for each in attributes:
        key = each.key
        if key in PLACE:
            value = each.value
            found[key] = value.string_value or value.int_value
    return found


if __name__ == "__main__":
    main()
