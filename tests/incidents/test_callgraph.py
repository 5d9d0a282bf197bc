"""Who calls whom is asked from topology, and what it said last stands while it is away."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from mesh.clock import SystemClock
from sensus.topology.v1 import topology_service_pb2 as pb
from sensus.topology.v1 import topology_service_pb2_grpc as pb_grpc
from services.incidents.clients.callgraph import CallGraph, Calls

LIMIT_S = 30.0


class Topology(pb_grpc.TopologyServiceServicer):
    """Edges by script, in pages of two."""

    def __init__(self) -> None:
        """Has seen none."""
        self.edges: list[pb.Edge] = []
        self.counts = pb.EdgeCounts(spans=2, errors=1)
        self.is_away = False

    async def ListEdges(self, request: pb.ListEdgesRequest, context: Any) -> Any:
        """The page of a token."""
        if self.is_away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        first = int(request.page_token or 0)
        edges = self.edges[first : first + 2]
        page = [pb.CountedEdge(edge=each, counts=self.counts) for each in edges]
        more = first + 2 < len(self.edges)
        return pb.ListEdgesResponse(edges=page, next_page_token=str(first + 2) if more else "")


class Stepping(SystemClock):
    """A clock whose minutes pass when the test says so."""

    def __init__(self) -> None:
        """Nobody sleeps yet."""
        super().__init__()
        self.asleep, self._passed = asyncio.Event(), asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Sleeps until a minute has passed."""
        self._passed.clear()
        self.asleep.set()
        await self._passed.wait()

    async def pass_a_minute(self) -> None:
        """Wakes the sleeper and waits until it sleeps again."""
        self.asleep.clear()
        self._passed.set()
        await asyncio.wait_for(self.asleep.wait(), LIMIT_S)


def edge(caller: str, callee: str, way: "pb.ConnectionType.ValueType") -> pb.Edge:
    """A call between services."""
    return pb.Edge(caller_service=caller, service=callee, connection_type=way)


@pytest.fixture
async def topology() -> Topology:
    """A topology that has seen no traces."""
    return Topology()


@pytest.fixture
async def stub(topology: Topology) -> AsyncIterator[pb_grpc.TopologyServiceStub]:
    """A client of it."""
    server = grpc.aio.server()
    pb_grpc.add_TopologyServiceServicer_to_server(topology, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield pb_grpc.TopologyServiceStub(channel)
    await server.stop(0)


async def test_calls_are_read_page_by_page_and_stand_while_topology_is_away(
    topology: Topology, stub: pb_grpc.TopologyServiceStub
) -> None:
    topology.edges = [
        edge("web", "cart", pb.CONNECTION_TYPE_CALL),
        edge("web", "10.0.0.9:80", pb.CONNECTION_TYPE_ADDRESS),
        edge("", "web", pb.CONNECTION_TYPE_ENTRY),
        edge("cart", "orders", pb.CONNECTION_TYPE_MESSAGING),
        edge("cart", "stock-db", pb.CONNECTION_TYPE_DATABASE),
    ]
    expected = {
        "web": {"cart"}, "cart": {"web", "orders", "stock-db"},
        "orders": {"cart"}, "stock-db": {"cart"},
    }  # fmt: skip
    clock = Stepping()
    graph = CallGraph(stub, clock)
    asking = asyncio.create_task(graph.run())
    try:
        await asyncio.wait_for(clock.asleep.wait(), LIMIT_S)
        assert graph.now == expected
        assert graph.calls == {
            "web": Calls(received=2, errors=1, callees={"cart"}),
            "cart": Calls(received=2, errors=1, callees={"orders", "stock-db"}),
            "orders": Calls(received=2, errors=1),
            "stock-db": Calls(received=2, errors=1),
        }
        topology.is_away = True
        await clock.pass_a_minute()
        assert graph.now == expected
        topology.edges, topology.is_away = topology.edges[:1], False
        await clock.pass_a_minute()
        assert graph.now == {"web": {"cart"}, "cart": {"web"}}
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_without_a_topology_no_calls_are_known() -> None:
    graph = CallGraph(None, Stepping())
    asking = asyncio.create_task(graph.run())
    await asyncio.sleep(0)
    assert not asking.done()
    assert graph.now == {}
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
