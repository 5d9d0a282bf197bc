"""Between the wire and the domain."""

from services.explainer.convert.answers import (
    encode_explanation,
    encode_frame,
    encode_result,
    unkept,
)
from services.explainer.convert.context import calls_of, change_of, encode_change, opinion_of
from services.explainer.convert.prompts import (
    encode_prompt,
    encode_prompts,
    new_prompt,
    new_weight,
)
from services.explainer.convert.requests import (
    explain_request,
    explanation_id_of,
    list_request,
    subject_of,
)
from services.explainer.convert.stored import headline_of, keepalive, listing, stored

__all__ = [
    "calls_of",
    "change_of",
    "encode_change",
    "encode_explanation",
    "encode_frame",
    "encode_prompt",
    "encode_prompts",
    "encode_result",
    "explain_request",
    "explanation_id_of",
    "headline_of",
    "keepalive",
    "list_request",
    "listing",
    "new_prompt",
    "new_weight",
    "opinion_of",
    "stored",
    "subject_of",
    "unkept",
]
