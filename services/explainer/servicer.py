"""The methods of ExplainerService: check, call, encode."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.explainer.v1 import explainer_service_pb2_grpc as pb_grpc
from services.explainer.convert import (
    explain_request,
    explanation_id_of,
    keepalive,
    list_request,
    listing,
    stored,
)
from services.explainer.jobs import Jobs
from services.explainer.store import Position, Records


class ExplainerServicer(pb_grpc.ExplainerServiceServicer):
    """Answers the calls; the work is done by `Jobs`, whoever listens."""

    def __init__(self, jobs: Jobs, records: Records) -> None:
        """Reads from `records`, begins and follows in `jobs`."""
        self._jobs = jobs
        self._records = records

    async def Explain(  # noqa: N802
        self, request: pb.ExplainRequest, context: Any
    ) -> AsyncIterator[pb.ExplainResponse]:
        """Frames of the explanation, from the first or after the one the caller saw last."""
        order = explain_request(request)
        explanation_id = await self._jobs.open(
            order.ref, request_id=order.request_id, resume_after=order.resume_after
        )
        async with aclosing(self._jobs.follow(explanation_id, order.resume_after)) as frames:
            async for frame in frames:
                yield pb.ExplainResponse.FromString(frame) if frame else keepalive(explanation_id)

    async def GetExplanation(  # noqa: N802
        self, request: pb.GetExplanationRequest, context: Any
    ) -> pb.GetExplanationResponse:
        """One explanation with its evidence."""
        record = await self._records.get(explanation_id_of(request))
        return pb.GetExplanationResponse(explanation=stored(record))

    async def ListExplanations(  # noqa: N802
        self, request: pb.ListExplanationsRequest, context: Any
    ) -> pb.ListExplanationsResponse:
        """One page, newest first, without evidence."""
        order = list_request(request)
        found = await self._records.list(order.wanted, order.after, order.size + 1)
        page = found[: order.size]
        more = len(found) > order.size
        last = page[-1] if more else None
        token = (
            order.next_token(Position(create_us=last.create_us, explanation_id=last.explanation_id))
            if last
            else ""
        )
        return listing(page, token)
