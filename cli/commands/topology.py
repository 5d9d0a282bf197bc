"""`sensus topology`: who calls whom, as a table."""

import asyncio
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from rich.table import Table

from cli.clients.connection import TOPOLOGY, connect
from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.product.directory import DataDirectory
from cli.render.screen import make_console
from cli.render.text import escape
from mesh.errors import translated
from sensus.topology.v1 import topology_service_pb2 as pb
from sensus.topology.v1.topology_service_pb2_grpc import TopologyServiceStub

_COLUMNS = ("caller", "called", "by", "requests", "errors", "begun here", "p50", "p95", "wait p95")


def topology(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    service: Annotated[str, typer.Option(help="Only edges from or to this service.")] = "",
    by_operation: Annotated[
        bool, typer.Option("--by-operation", help="Between operations, not between services.")
    ] = False,
    minutes: Annotated[int, typer.Option(min=1, max=1560, help="So far back.")] = 15,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
) -> None:
    """Show who calls whom, busiest first."""
    request = pb.ListEdgesRequest(service=service, by_operation=by_operation, page_size=limit)
    request.end_time.GetCurrentTime()
    request.start_time.FromSeconds(request.end_time.seconds - 60 * minutes)
    answer = asyncio.run(_ask(DataDirectory(data_dir), request))
    console, seen = make_console(), answer.coverage
    if not answer.edges:
        console.print("no spans were counted; docs/traces.md tells how to send them")
        return
    table = Table(box=None, pad_edge=False)
    for place, title in enumerate(_COLUMNS):
        table.add_column(title, justify="left" if place < 3 else "right", overflow="fold")
    for each in answer.edges:
        table.add_row(*map(escape, _cells(each)))
    console.print(table)
    console.print(f"{seen.traces} traces, {seen.failed_traces} failed; {seen.spans} spans")
    if seen.lost or seen.late:
        console.print(f"{seen.late} spans came late, {seen.lost} events were lost")


async def _ask(directory: DataDirectory, request: pb.ListEdgesRequest) -> pb.ListEdgesResponse:
    async with connect(directory, TOPOLOGY) as channel:
        with translated():
            answer: pb.ListEdgesResponse = await TopologyServiceStub(channel).ListEdges(request)
    return answer


def _cells(each: pb.CountedEdge) -> tuple[str, ...]:
    edge, counts = each.edge, each.counts
    way = pb.ConnectionType.Name(edge.connection_type).removeprefix("CONNECTION_TYPE_").lower()
    return (
        f"{edge.caller_service} {edge.caller_operation}".strip() or "-",
        f"{edge.service} {edge.operation}".strip(),
        way,
        f"{counts.weight:.0f}",
        str(counts.errors),
        str(counts.origins),
        _milliseconds(counts.duration.p50, counts.duration.count),
        _milliseconds(counts.duration.p95, counts.duration.count),
        _milliseconds(counts.wait.p95, counts.wait.count),
    )


def _milliseconds(length: Duration, count: int) -> str:
    return f"{length.ToMicroseconds() / 1000:.3g} ms" if count else "-"
