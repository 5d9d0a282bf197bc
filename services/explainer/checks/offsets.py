"""On which side of the event a text puts what it tells: "120 s before the alert".

"The alert came 120 s after it" puts it before the alert, too: what counts is who comes first.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from services.explainer.checks.known import RARE, fold, raw, said
from services.explainer.checks.numbers import NUMBER, written
from services.explainer.model.subjects import SubjectFacts

BEFORE: Final = "before"
AFTER: Final = "after"
UNKNOWN: Final = "unknown"

_OTHER: Final = {BEFORE: AFTER, AFTER: BEFORE}
_EVENT: Final = f"{RARE}event"
_NAME: Final = f"{RARE}name"
_CLAUSE_CHARS: Final = 80
_SAID: Final = re.compile(
    r"\s*(?:°?[A-Za-z]+\s+)?(?:(?P<before>before|prior to|ahead of|earlier than)"
    r"|(?P<after>after|later than|following|past)"
    r"|(?P<earlier>earlier|prior|ahead|beforehand)|(?P<later>later|afterwards))\b",
    re.IGNORECASE,
)
_AFTER_THAT: Final = re.compile(r"\bafter (?:about |around |some |only )?$", re.IGNORECASE)
_BY: Final = re.compile(
    r"\b(?:(?P<before>preced(?:ed|es|ing)|led|before|prior to|ahead of|earlier than)"
    r"|(?P<after>follow(?:ed|s|ing)|trailed|lagged|after|later than))"
    r"(?P<rest>\s[^,;:.]{1,50}?)\sby [a-z ]{0,16}$",
    re.IGNORECASE,
)
_BREAK: Final = re.compile(r"[,;:.()]|\b(?:and|while|but|then|when|so|whereas)\b", re.IGNORECASE)
_PRONOUN: Final = re.compile(
    r"\s*(?:(?:it|they|that|this|these|those)(?=\s*(?:[,;:.()]|$|was|were|is|began|started|came))|[,;:.()]|$)",
    re.IGNORECASE,
)
_IS_EVENT: Final = re.compile(
    rf"\W*(?:\w+ ){{0,3}}?(?:{_EVENT}|alarm|event|incident|problem|outage|issue|page"
    r"|notification|firing|fired|triggered)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """By which folded names a text may call the event, of what kind it is, and what it is on."""

    names: frozenset[str]
    kind: str
    places: frozenset[str] = frozenset()

    @classmethod
    def of(cls, subject: SubjectFacts) -> Self:
        """What an alert or an anomaly is called."""
        named = (subject.title, subject.labels.get("alertname", ""))
        return cls(
            names=frozenset(fold(raw(name)) for name in named if name),
            kind=subject.ref.kind.value,
            places=frozenset(fold(raw(value)) for value in subject.labels.values()),
        )

    def is_told(self, sentence: str, folded: Sequence[str]) -> bool:
        """Whether a masked sentence tells of the event."""
        return not self.names.isdisjoint(folded) or bool(
            re.search(rf"\b(?:{self.kind}|event|incident)\b", sentence, re.IGNORECASE)
        )

    def is_on(self, folded: Sequence[str]) -> bool:
        """Whether a sentence names what the event is on, or nothing else."""
        return not folded or not self.places.isdisjoint(folded)


def offsets_in(sentence: str, names: Sequence[str], event: Event) -> Iterator[tuple[str, str]]:
    """The side of the event and the number of each offset that a masked sentence tells.

    The side is UNKNOWN when the offset is told of two things neither of which is the event.
    """
    sentence = re.sub(rf"\b{event.kind}\b", _EVENT, sentence, flags=re.IGNORECASE)
    spoken = said(sentence, [_EVENT if fold(name) in event.names else _NAME for name in names])
    for found in NUMBER.finditer(spoken):
        before = spoken[max(0, found.start() - _CLAUSE_CHARS) : found.start()]
        if side := _side(before, spoken[found.end() : found.end() + _CLAUSE_CHARS]):
            yield side, written(found)


def _side(before: str, after: str) -> str:
    """The side, of what is around a number; "" when it is no offset."""
    if by := _BY.search(before):
        side = BEFORE if by["before"] else AFTER
        if _IS_EVENT.match(by["rest"]):
            return side
        return _OTHER[side] if _IS_EVENT.match(_last_clause(before[: by.start()])) else UNKNOWN
    told, led = _SAID.match(after), _AFTER_THAT.search(before)
    if told is None and led is None:
        return ""
    first = _last_clause(before[: led.start()] if led and not told else before)
    side = BEFORE if told and (told["before"] or told["earlier"]) else AFTER
    rest = after[told.end() :] if told else after
    if told and (told["before"] or told["after"]) and not _PRONOUN.match(rest):
        if _IS_EVENT.match(rest):
            return side
        return _OTHER[side] if _IS_EVENT.match(first) else UNKNOWN
    of_event = _IS_EVENT.match(first) or (told and told["later"] and _IS_EVENT.match(rest))
    return _OTHER[side] if of_event or (led and _IS_EVENT.match(rest)) else side


def _last_clause(text: str) -> str:
    breaks = list(_BREAK.finditer(text))
    return text[breaks[-1].end() :] if breaks else text
