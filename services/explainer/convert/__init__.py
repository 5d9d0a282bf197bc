"""Between the wire and the domain."""

from services.explainer.convert.answers import encode_explanation, encode_frame, encode_result
from services.explainer.convert.requests import (
    explain_request,
    explanation_id_of,
    list_request,
)
from services.explainer.convert.stored import headline_of, keepalive, listing, stored

__all__ = [
    "encode_explanation",
    "encode_frame",
    "encode_result",
    "explain_request",
    "explanation_id_of",
    "headline_of",
    "keepalive",
    "list_request",
    "listing",
    "stored",
]
