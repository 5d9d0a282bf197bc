"""Who calls whom, as topology counted it of traces: asked now and then, kept in between."""

import asyncio
import logging
from collections import defaultdict
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


class CallGraph:
    """The calls between services; empty where topology is not asked or has not answered yet."""

    def __init__(self, stub: TopologyServiceStub | None, clock: Clock) -> None:
        """Knows none before `run`."""
        self._stub = stub
        self._clock = clock
        self._graph: Graph = {}

    @property
    def now(self) -> Graph:
        """As it was last read."""
        return self._graph

    async def run(self) -> None:
        """Asks each minute, for ever; while topology is away its last answer stands."""
        while self._stub is not None:
            try:
                self._graph = await self._asked(self._stub)
            except SensusError as error:
                logger.info("the call graph stays as it is", extra={"cause": error.message})
            await self._clock.sleep(_EVERY_S)
        await asyncio.Event().wait()

    async def _asked(self, stub: TopologyServiceStub) -> Graph:
        beside: dict[str, set[str]] = defaultdict(set)
        request = pb.ListEdgesRequest(page_size=_PAGE)
        for _ in range(_PAGES_MAX):
            with translated():
                call: Any = stub.ListEdges(request, timeout=_WITHIN_S)
                answer: pb.ListEdgesResponse = await call
            for each in answer.edges:
                edge = each.edge
                if edge.connection_type in _KNOWN and edge.caller_service and edge.service:
                    beside[edge.caller_service].add(edge.service)
                    beside[edge.service].add(edge.caller_service)
            request.page_token = answer.next_page_token
            if not request.page_token:
                break
        return dict(beside)
