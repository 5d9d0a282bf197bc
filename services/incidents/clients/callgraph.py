"""Who calls whom, as topology counted it of traces: asked now and then, kept in between."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mesh.clock import Clock
from mesh.errors import SensusError, translated
from sensus.topology.v1 import topology_service_pb2 as pb
from sensus.topology.v1.topology_service_pb2_grpc import TopologyServiceStub
from services.incidents.correlator.bursts import Graph

_EVERY_S: Final = 60.0
_WITHIN_S: Final = 10.0
_PAGE: Final = 1000
_PAGES_MAX: Final = 20

_KNOWN: Final = (
    pb.CONNECTION_TYPE_CALL,
    pb.CONNECTION_TYPE_MESSAGING,
    pb.CONNECTION_TYPE_DATABASE,
)
"""Ways to call of which the name of the called one is known; an address is no name of alerts."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Calls:
    """What the spans of a service add up to, within the span that topology counts by default.

    Attributes:
        received: Spans of calls that it answered.
        errors: Of these, those that went wrong.
        callees: What it calls, by name.
    """

    received: int = 0
    errors: int = 0
    callees: set[str] = field(default_factory=set)


class CallGraph:
    """The calls between services; empty where topology is not asked or has not answered yet."""

    def __init__(self, stub: TopologyServiceStub | None, clock: Clock) -> None:
        """Knows none before `run`."""
        self._stub = stub
        self._clock = clock
        self._graph: Graph = {}
        self._calls: Mapping[str, Calls] = {}

    @property
    def now(self) -> Graph:
        """As it was last read."""
        return self._graph

    @property
    def calls(self) -> Mapping[str, Calls]:
        """The calls of each service, as they were last read."""
        return self._calls

    async def run(self) -> None:
        """Asks each minute, for ever; while topology is away its last answer stands."""
        while self._stub is not None:
            try:
                read = await _asked(self._stub)
                self._graph, self._calls = dict(read.beside), dict(read.calls)
            except SensusError as error:
                logger.info("the call graph stays as it is", extra={"cause": error.message})
            await self._clock.sleep(_EVERY_S)
        await asyncio.Event().wait()


class _Reading:
    """What the edges of all pages add up to."""

    def __init__(self) -> None:
        self.beside: dict[str, set[str]] = defaultdict(set)
        self.calls: dict[str, Calls] = defaultdict(Calls)

    def add(self, counted: pb.CountedEdge) -> None:
        """An address is no service; whom nobody seen called was called all the same."""
        edge = counted.edge
        is_known = edge.connection_type in _KNOWN
        if not edge.service or not (is_known or edge.connection_type == pb.CONNECTION_TYPE_ENTRY):
            return
        callee = self.calls[edge.service]
        callee.received += counted.counts.spans
        callee.errors += counted.counts.errors
        if is_known and edge.caller_service:
            self.beside[edge.caller_service].add(edge.service)
            self.beside[edge.service].add(edge.caller_service)
            if edge.caller_service != edge.service:
                self.calls[edge.caller_service].callees.add(edge.service)


async def _asked(stub: TopologyServiceStub) -> _Reading:
    found, request = _Reading(), pb.ListEdgesRequest(page_size=_PAGE)
    for _ in range(_PAGES_MAX):
        with translated():
            call: Any = stub.ListEdges(request, timeout=_WITHIN_S)
            answer: pb.ListEdgesResponse = await call
        for each in answer.edges:
            found.add(each)
        request.page_token = answer.next_page_token
        if not request.page_token:
            break
    return found
