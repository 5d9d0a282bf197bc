"""Prompt templates of the explainer."""

import grpc

from cli.clients.explaining import none_of
from mesh.errors import InvalidInput, NotFound, translated
from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.explainer.v1.explainer_service_pb2_grpc import ExplainerServiceStub

_TRY_WITHIN_S = 300


async def prompts(channel: grpc.aio.Channel) -> list[pb.Prompt]:
    """Every template with its outcomes, by name and version."""
    with translated():
        answer = await ExplainerServiceStub(channel).ListPrompts(pb.ListPromptsRequest())
    return list(answer.prompts)


async def prompt(channel: grpc.aio.Channel, prompt_id: str) -> pb.Prompt:
    """One template; a name alone means its newest version.

    Raises:
        NotFound: There is none.
    """
    fitting = [
        each
        for each in await prompts(channel)
        if prompt_id in (each.prompt_id, each.prompt_id.partition("@")[0])
    ]
    if not fitting:
        raise NotFound("prompt", prompt_id)
    return fitting[-1]


async def attempt(
    channel: grpc.aio.Channel, prompt_id: str, subject_id: str
) -> pb.TryPromptResponse:
    """What the template makes of an alert or an anomaly.

    Raises:
        NotFound: There is no such template, or neither an alert nor an anomaly of that id.
    """
    try:
        return await _attempt(channel, prompt_id, pb.Subject(alert_id=subject_id))
    except (NotFound, InvalidInput) as error:
        if error.reason == "PROMPT_NOT_FOUND":
            raise
        with none_of(subject_id):
            return await _attempt(channel, prompt_id, pb.Subject(anomaly_id=subject_id))


async def _attempt(
    channel: grpc.aio.Channel, prompt_id: str, subject: pb.Subject
) -> pb.TryPromptResponse:
    request = pb.TryPromptRequest(prompt_id=prompt_id, subject=subject)
    stub = ExplainerServiceStub(channel)
    with translated():
        answer: pb.TryPromptResponse = await stub.TryPrompt(request, timeout=_TRY_WITHIN_S)
    return answer


async def write(channel: grpc.aio.Channel, name: str, text: str) -> pb.Prompt:
    """Keeps a text as the next version of a template."""
    request = pb.WritePromptRequest(name=name, text=text)
    with translated():
        return (await ExplainerServiceStub(channel).WritePrompt(request)).prompt


async def weigh(channel: grpc.aio.Channel, prompt_id: str, weight: float) -> pb.Prompt:
    """Says what share of the explanations a template gets."""
    request = pb.SetPromptWeightRequest(prompt_id=prompt_id, weight=weight)
    with translated():
        return (await ExplainerServiceStub(channel).SetPromptWeight(request)).prompt
