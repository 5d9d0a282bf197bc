"""The form that a language model filled, read with patience and believed in nothing.

Nothing but ids and words of closed lists comes out of an answer.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from services.explainer.claims.form import CLAIMS_MAX, Claim, Form
from services.explainer.llm.provider import ProviderError

_OBJECTS_TRIED: Final = 32
"""Beginnings of objects that are tried; each may take time in proportion to the answer."""

_THOUGHTS_END: Final = re.compile(r"</(?:think|thinking|thought)>|<\|message\|>", re.IGNORECASE)
_ID: Final = re.compile(r"[A-Za-z]{1,10}[0-9]{0,6}|")


def read(answer: str) -> tuple[Form, int]:
    """The claims of an answer, wherever in it their object stands, and how many were unreadable.

    Thoughts, fences, tags and what follows the object are let be.

    Raises:
        ProviderError: There is no such object, or a key stands in it twice.
    """
    if not answer.strip():
        raise ProviderError("empty answer")
    problem = "broken JSON"
    for found in _objects(_without_thoughts(answer)):
        if isinstance(found, dict) and isinstance(found.get("claims"), list):
            return _form(found["claims"])
        problem = "schema ignored"
    raise ProviderError(problem)


def _form(listed: Sequence[object]) -> tuple[Form, int]:
    claims: list[Claim] = []
    for each in listed[:CLAIMS_MAX]:
        try:
            claim = msgspec.convert(each, Claim, strict=True)
        except (msgspec.MsgspecError, RecursionError):
            continue
        if all(map(_ID.fullmatch, _strings(msgspec.to_builtins(claim)))):
            claims.append(claim)
    return Form(claims=tuple(claims)), len(listed) - len(claims)


def _strings(value: Any) -> Iterator[str]:
    """The ids in a claim, wherever they stand; the words of closed lists are checked already."""
    for name, each in value.items():
        if name not in ("type", "mechanism", "action"):
            yield from [each] if isinstance(each, str) else each


def _without_thoughts(answer: str) -> str:
    """What follows the thoughts; all of it when nothing does."""
    said = _THOUGHTS_END.split(answer)[-1]
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


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ProviderError("a key stands twice in its answer")
    return found


_decode: Final = json.JSONDecoder(strict=False, object_pairs_hook=_once).raw_decode
