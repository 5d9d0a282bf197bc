"""Topology as the explainer meets it: scripted counts."""

import asyncio
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from sensus.topology.v1 import topology_service_pb2 as pb
from sensus.topology.v1 import topology_service_pb2_grpc as pb_grpc
from services.explainer.wiring import TOPOLOGY
from tests.explainer.peers.faults import Faults
from tests.explainer.peers.material import EVENT_MS
from tests.explainer.peers.serving import served

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
REQUESTS, USUAL = 100, 1000


class Topology(pb_grpc.TopologyServiceServicer):
    """The same comparison whatever is asked; examples by service."""

    def __init__(self) -> None:
        """Has seen no traces."""
        self.comparison = pb.CompareTracesResponse()
        self.examples: list[pb.Example] = []
        self.faults = Faults()
        self.asked: list[pb.CompareTracesRequest] = []
        self.answers_at_most: int | None = None

    async def CompareTraces(self, request: pb.CompareTracesRequest, context: Any) -> Any:
        """What was scripted; silent from `answers_at_most` answers on."""
        self.asked.append(request)
        if self.answers_at_most is not None and len(self.asked) > self.answers_at_most:
            await asyncio.Event().wait()
        await self.faults.meet("CompareTraces")
        return self.comparison

    async def ListExamples(self, request: pb.ListExamplesRequest, context: Any) -> Any:
        """Those of the service."""
        await self.faults.meet("ListExamples")
        found = [each for each in self.examples if each.service == request.service]
        return pb.ListExamplesResponse(examples=found)

    def sees_a_shop(self) -> None:
        """`web` calls `pay`, as usual."""
        self.comparison.coverage.CopyFrom(
            pb.Coverage(
                observed=pb.SideCoverage(minutes=2, traces=REQUESTS, spans=2 * REQUESTS),
                usual=pb.SideCoverage(minutes=20, traces=USUAL, spans=2 * USUAL),
            )
        )
        entry = pb.Edge(
            service="web", operation="GET /buy", connection_type=pb.CONNECTION_TYPE_ENTRY
        )
        call = pb.Edge(
            caller_service="web",
            caller_operation="GET /buy",
            service="pay",
            operation="Charge",
            connection_type=pb.CONNECTION_TYPE_CALL,
        )
        self.comparison.edges.extend(
            pb.EdgeChange(edge=each, observed=_counts(REQUESTS), usual=_counts(USUAL))
            for each in (entry, call)
        )

    def sees_pay_fail(self) -> None:
        """Errors begin in `pay`, of which one is told."""
        self.sees_a_shop()
        self.comparison.origins.append(
            pb.OriginChange(
                service="pay",
                operation="Charge",
                reason=pb.ORIGIN_REASON_EXCEPTION,
                detail="ValueError",
                observed=40,
                observed_traces=40,
                example_ids=["x1"],
            )
        )
        at = Timestamp()
        at.FromMilliseconds(EVENT_MS)
        self.examples.append(
            pb.Example(
                example_id="x1",
                service="pay",
                operation="Charge",
                exception_type="ValueError",
                message="no such currency",
                frames=["pay.py:12 charge"],
                trace_id=TRACE_ID,
                time=at,
            )
        )

    def sees_a_version(self, service: str, version: str, environment: str, at: Timestamp) -> None:
        """Another version of a service begins to run."""
        seen = pb.ServiceVersion(
            service=service, version=version, environment=environment, first_seen=at
        )
        self.comparison.versions.append(seen)


def _counts(spans: int) -> pb.EdgeCounts:
    times = pb.Durations(
        count=spans,
        p50=Duration(nanos=20_000_000),
        p95=Duration(nanos=40_000_000),
        sum=Duration(seconds=spans // 40),
    )
    return pb.EdgeCounts(spans=spans, duration=times, self_time=times, wait=times)


def served_topology(topology: Topology) -> Any:
    """Topology on a free port."""
    return served(TOPOLOGY, lambda s: pb_grpc.add_TopologyServiceServicer_to_server(topology, s))
