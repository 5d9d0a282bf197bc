"""Who a text says is the cause: the first suspect, and nobody else."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from services.explainer.model.names import plain
from services.explainer.wording.facts import Facts
from services.explainer.wording.known import RARE, fold, raw, said

_FIRST: Final = f"{RARE}first"
_OTHER: Final = f"{RARE}other"
_NAME: Final = f"{RARE}name"
_NO: Final = (
    r"(?:\b(?:not|no|never|neither|nor|none|cannot|without|unlikely|hardly|barely|except|unrelated"
    r"|innocent|unaffected|healthy|fine|excluded|exonerated|cleared|ruled out|rules out|wrong"
    r"|wrongly|false|falsely|victim|away from|rather than|instead of|other than|anything but)\b"
    r"|n['\u2019]t\b)"
)
_CAUSE: Final = r"(?:cause|culprit|source|origin|reason|responsible|fault|to blame)\b"
_DENIED: Final = re.compile(_NO, re.IGNORECASE)
_BESIDE_THE_CAUSE: Final = re.compile(
    rf"\b(?:without (?:any |an? |the |its |much )?(?!(?:doubt|question)\b)[a-z]+"
    rf"(?: (?:in|to|of|on) [a-z]+)?"
    rf"|(?:and |but )?not (?:because of|due to|from|by|with) (?:\w+ ){{0,2}}(?!{RARE})[a-z]+"
    rf"|can(?:not|'t|\u2019t) (?:reach|connect|be reached|keep up|answer|serve)"
    rf"|(?:does|did|could|do) not (?:respond|answer|keep up|recover|free|release|return))\b",
    re.IGNORECASE,
)
"""Denials that deny something else than that the suspect is the cause."""
_DENIES_A_CAUSE: Final = re.compile(rf"{_NO}(?:\W+(?!but\b)\w+){{0,5}}\W+{_CAUSE}", re.IGNORECASE)
_CLAUSE: Final = re.compile(
    r"[,;:()\u2013\u2014]|\b(?:but|while|whereas|although|though)\b", re.IGNORECASE
)
_BLAMES_OTHER: Final = re.compile(
    rf"\b{_OTHER} (?:is|was|remains|seems|appears|looks)(?: (?!not\b|no\b)\w+){{0,4}} {_CAUSE}"
    rf"|\b{_OTHER} (?:caused|causes|made|triggered|broke|drove|led to)\b"
    rf"|\b{_OTHER} slowed(?: down)? (?:\w+ ){{0,2}}(?:{_FIRST}|{_NAME})\b"
    rf"|\b{_OTHER} (?:is|was|did)(?: it)?\W*$"
    r"|\b(?:(?:caused|triggered|driven) by|because(?: of)?|due to|it (?:is|was)|stems from|blames?"
    rf"|blamed on|{_CAUSE} (?:is|was|lies in|lies with))(?: (?!not\b)\w+){{0,2}} {_OTHER}\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """The folded names of the first suspect and of the others."""

    first: str
    others: frozenset[str]

    @classmethod
    def of(cls, facts: Facts) -> Self:
        """Of the ranking, best first."""
        named = [fold(raw(plain(each.suspect.entity))) for each in facts.suspects]
        return cls(first=named[0] if named else "", others=frozenset(named[1:]) - set(named[:1]))

    def is_on_another(self, masked: str, names: Sequence[str]) -> bool:
        """Whether a sentence says that another suspect is the cause."""
        return bool(_BLAMES_OTHER.search(self._said(masked, names)))

    def is_told(self, masked: str, names: Sequence[str]) -> bool:
        """Whether a sentence names the first suspect, whole, and does not deny that it is it."""
        spoken = self._said(masked, names)
        if _DENIES_A_CAUSE.search(spoken):
            return False
        spoken = _BESIDE_THE_CAUSE.sub("", spoken)
        return any(
            _FIRST in clause and not _DENIED.search(clause) for clause in _CLAUSE.split(spoken)
        )

    def _said(self, masked: str, names: Sequence[str]) -> str:
        kinds = [
            _FIRST if name == self.first else _OTHER if name in self.others else _NAME
            for name in map(fold, names)
        ]
        return said(masked, kinds)
