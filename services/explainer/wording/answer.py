"""What a language model said, read with patience and believed in nothing."""

import json
import re
from typing import Final

import msgspec

from services.explainer.llm.provider import ProviderError
from services.explainer.model.explanation import Text
from services.explainer.model.prompt import Prompt

_ECHO_CHARS: Final = 40
"""A sentence of the instructions at least this long does not come into an answer by chance."""

TEXT_CHARS_MAX: Final = 4000
"""Twice the longest text that is shown; checking takes time in proportion to it."""

_SENTENCE: Final = re.compile(r"(?<=[.!?:]) ")


class _Answer(msgspec.Struct):
    root_cause: str
    mitigation: str
    summary: str


def read(answer: str, prompt: Prompt) -> Text:
    """The three texts of an answer; raw control characters and what follows the object are let be.

    Raises:
        ProviderError: It is no such object, or tells the prompt again.
    """
    try:
        start = answer.index("{")
        found, _ = json.JSONDecoder(strict=False).raw_decode(answer, start)
    except (ValueError, RecursionError):
        raise ProviderError("broken JSON") from None
    try:
        told = msgspec.convert(found, _Answer)
    except (msgspec.MsgspecError, RecursionError):
        raise ProviderError("schema ignored") from None
    text = Text(
        root_cause=_sound(told.root_cause),
        mitigation=_sound(told.mitigation),
        summary=_sound(told.summary),
    )
    if _echoes(text, prompt):
        raise ProviderError("prompt told again")
    return text


def _sound(text: str) -> str:
    """Text that can be stored: no halves of characters, and no more than anyone would read."""
    whole = text[:TEXT_CHARS_MAX].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\x00", " ")


def _echoes(text: Text, prompt: Prompt) -> bool:
    said = " ".join(" ".join((text.root_cause, text.mitigation, text.summary)).split())
    sentences = _SENTENCE.split(" ".join(prompt.system.split()))
    return any(len(each) >= _ECHO_CHARS and each in said for each in sentences)
