"""Prompts, their templates, and which of these an explanation gets. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Instructions to a language model; the facts and the rules of the form are added to it.

    Attributes:
        version: From 1; a text never changes under its version.
        weight: Share of the explanations that it gets, beside the weights of the others; 0 for
            none.
        author: Who wrote it; "" when it came with the product.
    """

    name: str
    version: int
    text: str
    weight: float = 0.0
    author: str = ""

    @property
    def id(self) -> str:
        """As it is named everywhere: `plain@1`."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The instructions, the facts apart from them, and the JSON schema of the answer."""

    system: str
    user: str
    schema: Mapping[str, Any]


def pick(templates: Sequence[Template], explanation_id: UUID) -> Template:
    """One of them by weight; the same for the same explanation. Without any weight the first.

    >>> both = [Template(name="a", version=1, text="", weight=w) for w in (0.0, 2.0)]
    >>> pick(both, UUID(int=7)).weight
    2.0
    """
    ordered = sorted(templates, key=lambda each: (each.name, each.version))
    total = sum(each.weight for each in ordered)
    digest = hashlib.blake2b(explanation_id.bytes, digest_size=8).digest()
    left = int.from_bytes(digest) / 2**64 * total
    for template in ordered:
        left -= template.weight
        if left < 0:
            return template
    return ordered[0]
