"""Who a text says is the cause: the first suspect, and nobody else."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from services.explainer.checks.known import RARE, fold, raw, said
from services.explainer.checks.lexicon import Piece
from services.explainer.model.evidence import EvidenceKind
from services.explainer.model.names import plain
from services.explainer.wording.facts import Facts

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

_AGENT: Final = re.compile(
    rf"\b(?:by|because of|due to|owing to|thanks to|from|on account of|courtesy of"
    r"|(?:result|victim|consequence|effect|symptom|fault|failure|failures|outage|crash|work"
    r"|product|overload|slowness) of"
    rf") (?!{_FIRST})(?:(?!(?:not|no)\b)\w+ ){{0,2}}?{_OTHER}\b",
    re.IGNORECASE,
)
"""Where the word for who did it stands."""
_LED_BY: Final = (
    r"(?:because(?: of)?|due to|by|as a result of|owing to|(?:waits?|waiting|waited) for"
    r"|depends on|relies on|calls|called)"
)
_SUFFERS: Final = re.compile(
    rf"\b{_CAUSE} (?:of|for|behind) "
    rf"(?:(?:the|this|these|its|slow|high|\w+ (?:of|on|in)) ){{0,3}}{_OTHER}",
    re.IGNORECASE,
)
"""Somebody whose trouble has a cause; that is said of the first suspect then."""
_POINTS_BACK: Final = re.compile(
    rf"{_OTHER}[^;]{{0,80}}\b{_LED_BY} [^;,]{{0,40}}{_FIRST}", re.IGNORECASE
)
"""Sentences in which another comes first, but only to say that it is because of the first."""
_SUBJECT: Final = re.compile(
    rf"\W*(?:\w+ ){{0,3}}?{_OTHER}\b|.*\b(?:points?|pointing|lies|began|begins|started|starts"
    rf"|originat\w+|traced?|goes) (?:back )?(?:at|to|in|with|on|from) (?:\w+ ){{0,2}}{_OTHER}\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """The folded names of the first suspect, and of all others that could be blamed."""

    first: str
    others: frozenset[str]

    @classmethod
    def of(cls, facts: Facts, pieces: Iterable[Piece]) -> Self:
        """Of the ranking, best first, and of what evidence is about that is not on the first."""
        named = [fold(raw(plain(each.suspect.entity))) for each in facts.suspects]
        first = named[0] if named else ""
        entities = [
            {fold(raw(name)) for name in piece.entities}
            for piece in pieces
            if piece.evidence.kind is not EvidenceKind.TOPOLOGY
        ]
        own = {first}.union(*(each for each in entities if first in each))
        others = set(named[1:]).union(*(each for each in entities if first not in each))
        return cls(first=first, others=frozenset(others - (own - set(named[1:])) - {first}))

    def is_on_another(self, masked: str, names: Sequence[str]) -> bool:
        """Whether a sentence says that another suspect is the cause."""
        spoken = _SUFFERS.sub("cause", self._said(masked, names))
        if _BLAMES_OTHER.search(spoken) or _AGENT.search(spoken):
            return True
        first, other = spoken.find(_FIRST), spoken.find(_OTHER)
        if other < 0 or 0 <= first < other:
            return False
        if first < 0:
            return _SUBJECT.match(spoken) is not None
        return _POINTS_BACK.search(spoken) is None

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
