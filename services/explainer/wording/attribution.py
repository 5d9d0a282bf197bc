"""Whether figures stand where they belong: a true figure of something else is not true.

A number must be a figure of the evidence that its sentence cites; without a citation, of evidence
on something that the sentence names; "from … to …" must go the way the evidence went, and so must
"rose" and "fell" without figures.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from services.explainer.model.evidence import Evidence
from services.explainer.wording.facts import Facts
from services.explainer.wording.figures import number_and_unit
from services.explainer.wording.lexicon import names_of_piece
from services.explainer.wording.numbers import NUMBER, written

EVIDENCE_ID: Final = re.compile(r"\bE\d+\b")
_FROM = re.compile(r"\bfrom\s+(?:about |around |some )?$", re.IGNORECASE)
_TO = re.compile(r"^[\s,]*(?:up |down )?to\s+(?:about |around |some )?$", re.IGNORECASE)
_UP = "rose|risen|rising|rises|increased?|grew|grown|climbed|jumped|surged|spiked|went up"
_DOWN = "fell|fallen|falling|falls|decreased?|dropped|sank|declined|shrank|went down"
_WAY = re.compile(rf"\b(?:(?P<up>{_UP})|(?P<down>{_DOWN}))\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A piece of evidence as attribution sees it.

    Attributes:
        names: Lower-case names of what it is about.
        numbers: Its figures as they are written, in the order of time where they have one.
        way: "up" or "down" where it shows a movement, otherwise "".
    """

    evidence_id: str
    names: frozenset[str]
    numbers: tuple[str, ...]
    way: str


def holders_of(facts: Facts) -> tuple[Holder, ...]:
    """All evidence that has figures."""
    return tuple(
        Holder(
            evidence_id=piece.evidence_id,
            names=frozenset(name.lower() for name in names_of_piece(piece)),
            numbers=tuple(number_and_unit(figure)[0] for figure in piece.figures),
            way=_way_of(piece),
        )
        for piece in facts.evidence
        if piece.figures
    )


def belongs(
    sentence: str, names: Sequence[str], holders: Sequence[Holder], *, is_advice: bool
) -> bool:
    """Whether every number of a sentence is where it belongs.

    Args:
        sentence: With its names masked, so that their digits are no numbers.
        names: The names in it.
        holders: All evidence with figures.
        is_advice: It tells what to do: "increase" is no claim there.
    """
    about = _about(sentence, names, holders)
    rest = EVIDENCE_ID.sub(" ", sentence)
    held = {number for holder in about for number in holder.numbers}
    ways = set() if is_advice else {holder.way for holder in about} - {""}
    return (
        all(written(found) in held for found in NUMBER.finditer(rest))
        and all(_goes(way, first, second, about) for way, first, second in _changes(rest))
        and (not ways or all(found.lastgroup in ways for found in _WAY.finditer(rest)))
    )


def _way_of(piece: Evidence) -> str:
    before, after = piece.figure("baseline"), piece.figure("observed")
    if before is None or after is None or before.value == after.value:
        return ""
    return "up" if after.value > before.value else "down"


def _about(sentence: str, names: Sequence[str], holders: Sequence[Holder]) -> Sequence[Holder]:
    ids, known = set(EVIDENCE_ID.findall(sentence)), {name.lower() for name in names}
    cited = [each for each in holders if each.evidence_id in ids]
    return cited or [each for each in holders if each.names & known] or holders


def _changes(text: str) -> Iterator[tuple[str, str, str]]:
    """Each "from A to B": the way that its clause tells ("up", "down" or ""), A and B."""
    numbers = list(NUMBER.finditer(text))
    for first, second in pairwise(numbers):
        between = text[first.end("gap") if first["unit"] == "to" else first.end() : second.start()]
        if _FROM.search(text[: first.start()]) and _TO.match(between):
            ways = list(_WAY.finditer(text[: first.start()]))
            way = ways[-1].lastgroup if ways else None
            yield way or "", written(first), written(second)


def _goes(way: str, first: str, second: str, about: Sequence[Holder]) -> bool:
    if way and first != second and (float(second) > float(first)) != (way == "up"):
        return False
    return any(
        first in each.numbers and second in each.numbers[each.numbers.index(first) + 1 :]
        for each in about
    )
