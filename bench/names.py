"""What a million names cost in memory: span names, log patterns, services, all of one sender.

The product runs as `sensus up` starts it. First come as many spans and lines with one name, as fast
as they are answered, so that buffers and what waits to settle are as large as they get; then those
with a name each.
What the memory of ingest and of topology grows by beyond the first is what the names cost.

    make bench-names   or   python -m bench.names [--names 1000000] [--most-mb 50]
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import psutil
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from rich.console import Console
from rich.table import Table

from bench.product import answered, channel, running
from cli.product.product import Product

BODY: Final = 2000
AT_ONCE: Final = 2
SETTLED_S: Final = 25.0
"""By then what waited is counted and stored."""
_LOOK_S: Final = 0.5
_WATCHED: Final = ("ingest", "topology")

Name = Callable[[int], str]


@dataclass(slots=True)
class Highest:
    """The most memory that each process held since it was asked last, in MB."""

    product: Product
    found: dict[str, float] = field(default_factory=dict)

    async def watch(self) -> None:
        """Looks for ever."""
        while True:
            for child in self.product.children:
                if child.name in _WATCHED:
                    now = psutil.Process(child.pid).memory_info().rss / 2**20
                    self.found[child.name] = max(now, self.found.get(child.name, 0.0))
            await asyncio.sleep(_LOOK_S)

    def taken(self) -> Mapping[str, float]:
        """What was found; begins anew."""
        found, self.found = self.found, {}
        return found


async def main() -> int:
    """Measures and prints the table; 1 when it grew by more than was asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--most-mb", type=float, default=50.0)
    asked = parser.parse_args()
    table = Table(title=f"{asked.names:,} names beside one name, MB at most")
    for column in ("names of", *(f"{each}: one, many" for each in _WATCHED), "growth", "rejected"):
        table.add_column(column, justify="right")
    growths = list[float]()
    async with running() as product:
        highest = Highest(product)
        watching = asyncio.create_task(highest.watch())
        for kind, body in (("spans", _spans), ("lines", _lines), ("services", _services)):
            await _sent(product, body, asked.names, lambda _: "one")
            await asyncio.sleep(SETTLED_S)
            one = highest.taken()
            rejected = await _sent(product, body, asked.names, _word)
            await asyncio.sleep(SETTLED_S)
            many = highest.taken()
            growth = [max(0.0, many[each] - one[each]) for each in _WATCHED]
            growths += growth
            table.add_row(
                kind,
                *(f"{one[each]:.0f}, {many[each]:.0f}" for each in _WATCHED),
                " ".join(f"{each:.0f}" for each in growth),
                f"{rejected:,}",
            )
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    Console(width=100).print(table)
    return int(max(growths) > asked.most_mb)


async def _sent(
    product: Product, body: Callable[[range, Name], Any], names: int, name: Name
) -> int:
    """Sends a record of each name; how many were rejected."""
    begins, rejected = iter(range(0, names, BODY)), 0
    target = product.run.ingest_target
    async with channel(product, target, "write:traces", "write:logs") as opened:
        traces: Any = TraceServiceStub(opened)  # type: ignore[no-untyped-call]
        lines: Any = LogsServiceStub(opened)  # type: ignore[no-untyped-call]

        async def send() -> None:
            nonlocal rejected
            for begin in begins:
                request = body(range(begin, min(begin + BODY, names)), name)
                if isinstance(request, ExportTraceServiceRequest):
                    answer = await answered(traces.Export, request)
                    rejected += answer.partial_success.rejected_spans
                else:
                    answer = await answered(lines.Export, request)
                    rejected += answer.partial_success.rejected_log_records

        await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    return rejected


def _spans(numbers: range, name: Name) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scope = _resource(request.resource_spans, "shop").scope_spans.add()
    for number in numbers:
        _add_span(scope, name(number))
    return request


def _services(numbers: range, name: Name) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    for number in numbers:
        _add_span(_resource(request.resource_spans, name(number)).scope_spans.add(), "GET")
    return request


def _lines(numbers: range, name: Name) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    scope, now_ns = _resource(request.resource_logs, "shop").scope_logs.add(), time.time_ns()
    for number in numbers:
        record = scope.log_records.add(severity_number=17, time_unix_nano=now_ns)
        record.body.string_value = f"{name(number)} cannot be opened"  # a first word never varies
    return request


def _resource(into: Any, service: str) -> Any:
    made = into.add()
    made.resource.attributes.add(key="service.name").value.string_value = service
    return made


def _add_span(scope: Any, name: str) -> None:
    now_ns = time.time_ns()
    scope.spans.add(
        trace_id=os.urandom(16),
        span_id=os.urandom(8),
        name=name,
        kind=2,
        start_time_unix_nano=now_ns - 1_000_000,
        end_time_unix_nano=now_ns,
    )


def _word(number: int) -> str:
    """A name without a digit, so that nothing of it is taken for an id."""
    return "".join(chr(ord("g") + int(digit)) for digit in f"{number:07}")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
