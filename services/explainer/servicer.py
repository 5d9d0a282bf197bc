"""The methods of ExplainerService: check, call, encode."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from mesh.auth import current_principal
from mesh.clock import Clock
from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.explainer.v1 import explainer_service_pb2_grpc as pb_grpc
from services.explainer import convert
from services.explainer.jobs.jobs import Jobs
from services.explainer.jobs.trying import Trying
from services.explainer.store import Context, Feedback, Position, Prompts, Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the methods call."""

    jobs: Jobs
    records: Records
    context: Context
    feedback: Feedback
    prompts: Prompts
    trying: Trying
    clock: Clock


class ExplainerServicer(pb_grpc.ExplainerServiceServicer):
    """Answers the calls; the work is done by `Jobs`, whoever listens."""

    def __init__(self, parts: Parts) -> None:
        """Holds nothing of its own."""
        self._do = parts

    async def Explain(  # noqa: N802
        self, request: pb.ExplainRequest, context: Any
    ) -> AsyncIterator[pb.ExplainResponse]:
        """Frames of the explanation, from the first or after the one the caller saw last."""
        order = convert.explain_request(request)
        explanation_id = await self._do.jobs.open(
            order.ref, request_id=order.request_id, resume_after=order.resume_after
        )
        quiet = convert.keepalive(explanation_id)
        async with aclosing(self._do.jobs.follow(explanation_id, order.resume_after)) as frames:
            async for frame in frames:
                yield pb.ExplainResponse.FromString(frame) if frame else quiet

    async def GetExplanation(  # noqa: N802
        self, request: pb.GetExplanationRequest, context: Any
    ) -> pb.GetExplanationResponse:
        """One explanation with its evidence."""
        record = await self._do.records.get(convert.explanation_id_of(request))
        return pb.GetExplanationResponse(explanation=convert.stored(record))

    async def ListExplanations(  # noqa: N802
        self, request: pb.ListExplanationsRequest, context: Any
    ) -> pb.ListExplanationsResponse:
        """One page, newest first, without evidence."""
        order = convert.list_request(request)
        found = await self._do.records.list(order.wanted, order.after, order.size + 1)
        page = found[: order.size]
        more = len(found) > order.size
        last = page[-1] if more else None
        token = (
            order.next_token(Position(create_us=last.create_us, explanation_id=last.explanation_id))
            if last
            else ""
        )
        return convert.listing(page, token)

    async def CancelExplanation(  # noqa: N802
        self, request: pb.CancelExplanationRequest, context: Any
    ) -> pb.CancelExplanationResponse:
        """Ends the work; its streams get the end."""
        by = current_principal().subject
        record = await self._do.jobs.cancel(convert.explanation_id_of(request), by)
        return pb.CancelExplanationResponse(explanation=convert.stored(record))

    async def SubmitFeedback(  # noqa: N802
        self, request: pb.SubmitFeedbackRequest, context: Any
    ) -> pb.SubmitFeedbackResponse:
        """Keeps what the caller thinks."""
        opinion = convert.opinion_of(request, current_principal().subject)
        await self._do.feedback.write(opinion)
        return pb.SubmitFeedbackResponse()

    async def WriteChange(  # noqa: N802
        self, request: pb.WriteChangeRequest, context: Any
    ) -> pb.WriteChangeResponse:
        """Keeps a change."""
        change = convert.change_of(request, self._do.clock.now_ms())
        await self._do.context.write_change(change)
        return pb.WriteChangeResponse(change=convert.encode_change(change))

    async def WriteTopology(  # noqa: N802
        self, request: pb.WriteTopologyRequest, context: Any
    ) -> pb.WriteTopologyResponse:
        """Replaces what a source tells."""
        source, calls = convert.calls_of(request)
        kept = await self._do.context.write_calls(source, calls)
        return pb.WriteTopologyResponse(calls=kept)

    async def ListPrompts(  # noqa: N802
        self, request: pb.ListPromptsRequest, context: Any
    ) -> pb.ListPromptsResponse:
        """All templates with their outcomes."""
        prompts = self._do.prompts
        return convert.encode_prompts(await prompts.all(), await prompts.outcomes())

    async def WritePrompt(  # noqa: N802
        self, request: pb.WritePromptRequest, context: Any
    ) -> pb.WritePromptResponse:
        """Keeps a text as the next version."""
        name, text = convert.new_prompt(request)
        kept = await self._do.prompts.write(name, text, current_principal().subject)
        return pb.WritePromptResponse(prompt=convert.encode_prompt(kept))

    async def SetPromptWeight(  # noqa: N802
        self, request: pb.SetPromptWeightRequest, context: Any
    ) -> pb.SetPromptWeightResponse:
        """Sets the share of a template."""
        kept = await self._do.prompts.weigh(*convert.new_weight(request))
        return pb.SetPromptWeightResponse(prompt=convert.encode_prompt(kept))

    async def TryPrompt(  # noqa: N802
        self, request: pb.TryPromptRequest, context: Any
    ) -> pb.TryPromptResponse:
        """What a template would have given; nothing is kept."""
        ref = convert.subject_of(request.subject)
        tried = await self._do.trying.attempt(request.prompt_id, ref)
        return pb.TryPromptResponse(
            explanation=convert.unkept(ref, tried.explanation, tried.create_us),
            duration_s=tried.draft.duration_s,
            cost=tried.draft.cost,
        )
