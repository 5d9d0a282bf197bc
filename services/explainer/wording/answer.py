"""What a language model said, read with patience and believed in nothing."""

import json
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from services.explainer.llm.provider import ProviderError
from services.explainer.model.explanation import Text
from services.explainer.model.prompt import Prompt

_ECHO_CHARS: Final = 40
"""A sentence of the instructions at least this long does not come into an answer by chance."""

TEXT_CHARS_MAX: Final = 4000
"""Twice the longest text that is shown; checking takes time in proportion to it."""

THOUGHT_BEGINS: Final = "<think>"
THOUGHT_ENDS: Final = "</think>"

_OBJECTS_TRIED: Final = 32
"""Beginnings of objects that are tried; each may take time in proportion to the answer."""

_decode: Final = json.JSONDecoder(strict=False).raw_decode
_SENTENCE: Final = re.compile(r"(?<=[.!?:]) ")


class _Answer(msgspec.Struct):
    root_cause: str
    mitigation: str
    summary: str


def read(answer: str, prompt: Prompt) -> Text:
    """The three texts of an answer, wherever in it their object stands.

    Thoughts, fences, raw control characters and what follows the object are let be.

    Raises:
        ProviderError: It is no such object, or tells the prompt again.
    """
    told = _told(answer)
    text = Text(
        root_cause=_sound(told.root_cause),
        mitigation=_sound(told.mitigation),
        summary=_sound(told.summary),
    )
    if _echoes(text, prompt):
        raise ProviderError("prompt told again")
    return text


def _told(answer: str) -> _Answer:
    problem = "broken JSON"
    for found in _objects(_unthought(answer)):
        try:
            return msgspec.convert(found, _Answer)
        except (msgspec.MsgspecError, RecursionError):
            problem = "schema ignored"
    raise ProviderError(problem)


def _unthought(answer: str) -> str:
    """What follows the thoughts; all of it when nothing does."""
    said = answer.rpartition(THOUGHT_ENDS)[2]
    return said if "{" in said else answer


def _objects(text: str) -> Iterator[object]:
    """The JSON objects in a text, from the left, none of them inside another one."""
    end = 0
    for _ in range(_OBJECTS_TRIED):
        start = text.find("{", end)
        if start < 0:
            return
        try:
            found, end = _decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
            continue
        yield found


def _sound(text: str) -> str:
    """Text that can be stored: no halves of characters, and no more than anyone would read."""
    whole = text[:TEXT_CHARS_MAX].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\x00", " ")


def _echoes(text: Text, prompt: Prompt) -> bool:
    said = " ".join(" ".join((text.root_cause, text.mitigation, text.summary)).split())
    sentences = _SENTENCE.split(" ".join(prompt.system.split()))
    return any(len(each) >= _ECHO_CHARS and each in said for each in sentences)
