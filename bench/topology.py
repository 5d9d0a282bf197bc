"""The whole way of spans, from the answer of ingest to rows of topology, beside message objects.

The product runs as `sensus up` starts it. Bodies of whole traces are sent as fast as they are
answered; then all must be counted. CPU is that of the processes as the kernel counts it, from the
first body to the last count: what a busy machine adds to the clock does not matter. Beside it, in
the same run, what protobuf objects alone cost one process. Trust the ratio.

    make bench-topology   or   python -m bench.topology [--spans 500000]
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any, Final

import psutil
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from rich.console import Console
from rich.table import Table

from bench.events import span_objects
from bench.intake import cpu_s
from bench.product import answered, channel, running
from cli.product.product import Product
from sensus.topology.v1 import topology_service_pb2 as pb
from sensus.topology.v1.topology_service_pb2_grpc import TopologyServiceStub

BODY: Final = 2000
"""Spans of a body; four to a trace."""
AT_ONCE: Final = 4
_LOOK_S: Final = 2.0
_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

console = Console(width=100)


async def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spans", type=int, default=500_000)
    bodies = max(8, parser.parse_args().spans // BODY)
    async with running() as product:
        await _sent(product, 8)
        await _counted(product, 8 * BODY)
        before = _cpu(product)
        objects_s = await _sent(product, bodies)
        await _counted(product, (8 + bodies) * BODY)
        after = _cpu(product)
        memory = _memory(product)
    spans = bodies * BODY
    _show(spans, {name: after[name] - before[name] for name in before}, objects_s, memory)


async def _sent(product: Product, bodies: int) -> float:
    """Sends bodies; CPU seconds that objects take for one of them, the median of nine."""
    left = bodies
    async with channel(product, product.run.ingest_target, "write:traces") as opened:
        export: Any = opened.unary_unary(
            _EXPORT,
            request_serializer=bytes,
            response_deserializer=ExportTraceServiceResponse.FromString,
        )

        async def send() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                answer = await answered(export, _body())
                assert not answer.partial_success.rejected_spans, answer

        await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    body = _body()
    return statistics.median(cpu_s(span_objects, body) for _ in range(9))


def _body() -> bytes:
    """Traces of four spans of two services with ten attributes each."""
    now_ns = time.time_ns()
    request = ExportTraceServiceRequest()
    scopes = []
    for service in ("front", "back"):
        made = request.resource_spans.add()
        made.resource.attributes.add(key="service.name").value.string_value = service
        scopes.append(made.scope_spans.add())
    for number in range(BODY // 4):
        trace_id, ids = os.urandom(16), [os.urandom(8) for _ in range(4)]
        parent = b""
        for place, kind in enumerate((2, 3, 2, 3)):
            span = scopes[place // 2].spans.add(
                trace_id=trace_id,
                span_id=ids[place],
                parent_span_id=parent,
                name="GET",
                kind=kind,
                start_time_unix_nano=now_ns - (20 - place) * 1_000_000,
                end_time_unix_nano=now_ns - place * 1_000_000,
            )
            parent = ids[place]
            route = f"/api/{'abcdefghijklmnopqrst'[number % 20]}/{{id}}"
            span.attributes.add(key="http.route").value.string_value = route
            for key in ("http.request.method", "server.address", "user_agent.original", "url.path"):
                span.attributes.add(key=key).value.string_value = "some text of a sender"
            span.attributes.add(key="http.response.status_code").value.int_value = 200
            for key in ("thread.id", "server.port", "network.peer.port", "http.request.size"):
                span.attributes.add(key=key).value.int_value = 8080
    content: bytes = request.SerializeToString()
    return content


async def _counted(product: Product, spans: int) -> None:
    """Waits until so many spans are counted."""
    async with channel(product, product.run.topology_target, "read:topology") as opened:
        stub = TopologyServiceStub(opened)
        while (await stub.ListEdges(pb.ListEdgesRequest())).coverage.spans < spans:
            await asyncio.sleep(_LOOK_S)


def _processes(product: Product) -> dict[str, Sequence[psutil.Process]]:
    """The processes through which spans pass, with their children."""
    by_name = {child.name: psutil.Process(child.pid) for child in product.children}
    return {
        name: [by_name[name], *by_name[name].children(recursive=True)]
        for name in ("ingest", "topology", "postgres", "redis")
    }


def _cpu(product: Product) -> dict[str, float]:
    return {
        name: sum(sum(each.cpu_times()[:2]) for each in processes)
        for name, processes in _processes(product).items()
    }


def _memory(product: Product) -> dict[str, float]:
    found = _processes(product)
    return {name: found[name][0].memory_info().rss / 2**20 for name in ("ingest", "topology")}


def _show(spans: int, cpu: dict[str, float], objects_s: float, memory: dict[str, float]) -> None:
    table = Table(title=f"{spans:,} spans, from the first body to the last count")
    for column in ("process", "CPU us a span", "MB"):
        table.add_column(column, justify="right")
    for name, seconds in cpu.items():
        held = f"{memory[name]:.0f}" if name in memory else ""
        table.add_row(name, f"{seconds / spans * 1e6:.1f}", held)
    whole_us, objects_us = sum(cpu.values()) / spans * 1e6, objects_s / BODY * 1e6
    table.add_row("all", f"{whole_us:.1f}", "")
    table.add_row("objects alone", f"{objects_us:.1f}", "")
    console.print(table)
    console.print(
        f"all that happens to a span costs {whole_us / objects_us:.1f} times as much as to read it "
        f"into objects; two cores take {2e6 / whole_us:,.0f} spans a second"
    )


if __name__ == "__main__":
    asyncio.run(main())
