"""Prompt templates between the wire and the domain."""

import math
import re
from collections.abc import Mapping, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.convert.requests import invalid
from services.explainer.store.prompts import Figures, KeptTemplate

TEXT_CHARS_MAX = 8000
WEIGHT_MAX = 1000

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


def new_prompt(request: pb.WritePromptRequest) -> tuple[str, str]:
    """Name and text. Raises: InvalidInput (INVALID_PROMPT)."""
    if not _NAME.fullmatch(request.name):
        should = "be lower-case letters, digits and hyphens, a letter first, at most 40"
        raise invalid("name", should, "INVALID_PROMPT")
    text = request.text.strip()
    if not text or len(text) > TEXT_CHARS_MAX or "\0" in text:
        raise invalid("text", f"be 1 to {TEXT_CHARS_MAX} characters", "INVALID_PROMPT")
    return request.name, text


def new_weight(request: pb.SetPromptWeightRequest) -> tuple[str, float]:
    """Id and weight. Raises: InvalidInput (INVALID_PROMPT)."""
    if not math.isfinite(request.weight) or not 0 <= request.weight <= WEIGHT_MAX:
        raise invalid("weight", f"be 0 to {WEIGHT_MAX}", "INVALID_PROMPT")
    return request.prompt_id, request.weight


def encode_prompts(
    kept: Sequence[KeptTemplate], figures: Mapping[str, Figures]
) -> pb.ListPromptsResponse:
    """All templates with their outcomes."""
    prompts = [encode_prompt(each, figures.get(each.template.id, Figures())) for each in kept]
    return pb.ListPromptsResponse(prompts=prompts)


def encode_prompt(kept: KeptTemplate, figures: Figures | None = None) -> pb.Prompt:
    """One template; without figures its outcomes are absent."""
    begun = Timestamp()
    begun.FromMicroseconds(kept.create_us)
    template = kept.template
    return pb.Prompt(
        prompt_id=template.id,
        text=template.text,
        weight=template.weight,
        author=template.author,
        create_time=begun,
        outcomes=_outcomes(figures) if figures else None,
    )


def _outcomes(figures: Figures) -> pb.PromptOutcomes:
    return pb.PromptOutcomes(
        asked=figures.asked,
        used=figures.used,
        clean=figures.clean,
        struck_claims=figures.struck,
        duration_median_s=figures.median_s,
        input_tokens_mean=figures.input_tokens,
        output_tokens_mean=figures.output_tokens,
        cost=figures.cost,
        feedback_right=figures.right,
        feedback_partly=figures.partly,
        feedback_wrong=figures.wrong,
    )
