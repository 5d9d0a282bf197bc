"""The methods of ExplainerService: check, call, encode."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from mesh.auth import current_principal
from mesh.clock import Clock
from mesh.publisher import Publisher
from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.explainer.v1 import explainer_service_pb2_grpc as pb_grpc
from services.explainer.convert.answers import unkept
from services.explainer.convert.changes import changes_request
from services.explainer.convert.context import calls_of, change_of, encode_change, opinion_of
from services.explainer.convert.prompts import encode_prompt, encode_prompts, new_prompt, new_weight
from services.explainer.convert.requests import (
    explain_request,
    explanation_id_of,
    list_request,
    subject_of,
    watch_request,
)
from services.explainer.convert.stored import keepalive, listing, short, stored, watch_frame
from services.explainer.explanations.lifecycle import Jobs
from services.explainer.explanations.trial import Trial
from services.explainer.model.explanation import Record
from services.explainer.store.context import Context
from services.explainer.store.feedback import Feedback
from services.explainer.store.prompts import Prompts
from services.explainer.store.records import Position, Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the methods call."""

    jobs: Jobs
    records: Records
    context: Context
    feedback: Feedback
    prompts: Prompts
    trial: Trial
    publisher: Publisher[Record]
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
        order = explain_request(request)
        explanation_id = await self._do.jobs.open(
            order.ref,
            request_id=order.request_id,
            resume_after=order.resume_after,
            anew=order.anew,
        )
        quiet = keepalive(explanation_id)
        async with aclosing(self._do.jobs.follow(explanation_id, order.resume_after)) as frames:
            async for frame in frames:
                yield pb.ExplainResponse.FromString(frame) if frame else quiet

    async def GetExplanation(  # noqa: N802
        self, request: pb.GetExplanationRequest, context: Any
    ) -> pb.GetExplanationResponse:
        """One explanation with its evidence, or what of it is read at night."""
        found = stored(await self._do.records.get(explanation_id_of(request)))
        if request.view == pb.EXPLANATION_VIEW_SHORT:
            found = short(found)
        return pb.GetExplanationResponse(explanation=found)

    async def WatchExplanations(  # noqa: N802
        self, request: pb.WatchExplanationsRequest, context: Any
    ) -> AsyncIterator[pb.WatchExplanationsResponse]:
        """Explanations that ended after the caller's cursor."""
        order = watch_request(request)
        watch = self._do.publisher.watch(order.after, order.lets_through, order.heartbeat_s)
        async with aclosing(watch) as frames:
            async for frame in frames:
                yield watch_frame(frame, self._do.clock.now_ms())

    async def ListExplanations(  # noqa: N802
        self, request: pb.ListExplanationsRequest, context: Any
    ) -> pb.ListExplanationsResponse:
        """One page, newest first, without evidence."""
        order = list_request(request)
        found = await self._do.records.list(order.wanted, order.after, order.size + 1)
        page = found[: order.size]
        more = len(found) > order.size
        last = page[-1] if more else None
        token = (
            order.next_token(Position(create_us=last.create_us, explanation_id=last.explanation_id))
            if last
            else ""
        )
        return listing(page, token)

    async def CancelExplanation(  # noqa: N802
        self, request: pb.CancelExplanationRequest, context: Any
    ) -> pb.CancelExplanationResponse:
        """Ends the work; its streams get the end."""
        by = current_principal().subject
        record = await self._do.jobs.cancel(explanation_id_of(request), by)
        return pb.CancelExplanationResponse(explanation=stored(record))

    async def SubmitFeedback(  # noqa: N802
        self, request: pb.SubmitFeedbackRequest, context: Any
    ) -> pb.SubmitFeedbackResponse:
        """Keeps what the caller thinks."""
        opinion = opinion_of(request, current_principal().subject)
        await self._do.feedback.write(opinion)
        return pb.SubmitFeedbackResponse()

    async def WriteChange(  # noqa: N802
        self, request: pb.WriteChangeRequest, context: Any
    ) -> pb.WriteChangeResponse:
        """Keeps a change."""
        change = change_of(request, self._do.clock.now_ms())
        await self._do.context.write_change(change)
        return pb.WriteChangeResponse(change=encode_change(change))

    async def ListChanges(  # noqa: N802
        self, request: pb.ListChangesRequest, context: Any
    ) -> pb.ListChangesResponse:
        """One page, newest first."""
        order = changes_request(request)
        found = await self._do.context.list_changes(order.wanted, order.after, order.size + 1)
        return order.answer(found)

    async def WriteTopology(  # noqa: N802
        self, request: pb.WriteTopologyRequest, context: Any
    ) -> pb.WriteTopologyResponse:
        """Replaces what a source tells."""
        source, calls = calls_of(request)
        kept = await self._do.context.write_calls(source, calls)
        return pb.WriteTopologyResponse(calls=kept)

    async def ListPrompts(  # noqa: N802
        self, request: pb.ListPromptsRequest, context: Any
    ) -> pb.ListPromptsResponse:
        """All templates with their outcomes."""
        prompts = self._do.prompts
        return encode_prompts(await prompts.all(), await prompts.outcomes())

    async def WritePrompt(  # noqa: N802
        self, request: pb.WritePromptRequest, context: Any
    ) -> pb.WritePromptResponse:
        """Keeps a text as the next version."""
        name, text = new_prompt(request)
        kept = await self._do.prompts.write(name, text, current_principal().subject)
        return pb.WritePromptResponse(prompt=encode_prompt(kept))

    async def SetPromptWeight(  # noqa: N802
        self, request: pb.SetPromptWeightRequest, context: Any
    ) -> pb.SetPromptWeightResponse:
        """Sets the share of a template."""
        kept = await self._do.prompts.weigh(*new_weight(request))
        return pb.SetPromptWeightResponse(prompt=encode_prompt(kept))

    async def TryPrompt(  # noqa: N802
        self, request: pb.TryPromptRequest, context: Any
    ) -> pb.TryPromptResponse:
        """What a template would have given; nothing is kept."""
        ref = subject_of(request.subject)
        tried = await self._do.trial.attempt(request.prompt_id, ref)
        return pb.TryPromptResponse(
            explanation=unkept(ref, tried.explanation, create_us=tried.create_us),
            duration_s=tried.draft.duration_s,
            cost=tried.draft.cost,
        )
