"""Whether figures stand where they belong: a true figure of something else is not true.

A number must be a figure of the evidence that its sentence cites; without a citation, of evidence
on something that the sentence names; "from … to …" must go the way the evidence went, and so must
"rose" and "fell" without figures; what was before the event must not be told as after it.
Evidence is looked up by sets that are bits of an integer: a sentence costs what its words cost.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations, pairwise
from operator import or_
from typing import Final

from services.explainer.model.evidence import Evidence, Figure
from services.explainer.model.subjects import SubjectFacts
from services.explainer.wording.known import fold, raw
from services.explainer.wording.lexicon import Piece
from services.explainer.wording.numbers import NUMBER, written
from services.explainer.wording.offsets import AFTER, BEFORE, Event, offsets_in

EVIDENCE_ID: Final = re.compile(r"\bE\d+\b")
_ABOUT: Final = r"(?:about |around |some |nearly |roughly )?"
_FROM: Final = re.compile(
    r"\bfrom\s+(?:(?:its|the|a|an) )?(?:(?:usual|normal) )?(?:(?:baseline|level|value) )?(?:of )?"
    rf"{_ABOUT}-?$",
    re.IGNORECASE,
)
_TO: Final = re.compile(rf"\bto\s+{_ABOUT}-?$", re.IGNORECASE)
_UP = "rose|risen|rising|rises|increased?|grew|grown|climbed|jumped|surged|spiked|went up"
_DOWN = "fell|fallen|falling|falls|decreased?|dropped|sank|declined|shrank|went down"
_WAY = re.compile(rf"\b(?:(?P<up>{_UP})|(?P<down>{_DOWN}))\b", re.IGNORECASE)
_NEARBY_CHARS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """All evidence that has figures; each value is a set of pieces, one bit for each.

    Attributes:
        by_name: By the folded names of what it is about.
        by_number: By its figures as they are written.
        by_pair: By two of its figures, in the order of time where they have one, and by the way
            from the first to the second or "" for any.
        by_way: By "up" or "down" where it shows a movement.
        by_offset: By the side of the event, or "" for no offset, and the figure.
    """

    by_id: dict[str, int]
    by_name: dict[str, int]
    by_number: dict[str, int]
    by_pair: dict[tuple[str, str, str], int]
    by_way: dict[str, int]
    by_offset: dict[tuple[str, str], int]
    event: Event

    def about(self, ids: Sequence[str], names: Sequence[str]) -> int:
        """Evidence that is cited; without any, evidence on what is named; else all of it."""
        cited = _union(self.by_id, ids)
        return cited or _union(self.by_name, map(fold, names)) or -1


def holders_of(subject: SubjectFacts, pieces: Iterable[Piece]) -> Holders:
    """All evidence that has figures."""
    by_id: defaultdict[str, int] = defaultdict(int)
    by_name: defaultdict[str, int] = defaultdict(int)
    by_number: defaultdict[str, int] = defaultdict(int)
    by_way: defaultdict[str, int] = defaultdict(int)
    by_pair: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    by_offset: defaultdict[tuple[str, str], int] = defaultdict(int)
    for place, piece in enumerate(each for each in pieces if each.numbers):
        bit = 1 << place
        numbers = [number for number, _ in piece.numbers]
        by_id[piece.evidence.evidence_id] |= bit
        by_way[_way_of(piece.evidence)] |= bit
        for name in {fold(raw(name)) for name in piece.names}:
            by_name[name] |= bit
        for number, figure in zip(numbers, piece.evidence.figures, strict=True):
            by_number[number] |= bit
            by_offset[_side_of(figure), number] |= bit
        figures = zip(numbers, piece.evidence.figures, strict=True)
        for (first, before), (second, after) in combinations(figures, 2):
            by_pair["", first, second] |= bit
            by_pair[_way(before.value, after.value), first, second] |= bit
    return Holders(
        by_id=by_id,
        by_name=by_name,
        by_number=by_number,
        by_pair=by_pair,
        by_way=by_way,
        by_offset=by_offset,
        event=Event.of(subject),
    )


def belongs(
    sentence: str, ids: Sequence[str], names: Sequence[str], holders: Holders, *, is_advice: bool
) -> bool:
    """Whether every number of a sentence is where it belongs.

    Args:
        sentence: With its names masked, so that their digits are no numbers; without citations.
        ids: The evidence it cites.
        names: The names in it.
        holders: All evidence with figures.
        is_advice: It tells what to do: "increase" is no claim there.
    """
    about, offsets = holders.about(ids, names), holders.by_offset
    numbers = list(NUMBER.finditer(sentence))
    ways = list(_WAY.finditer(sentence))
    moved = {way for way in ("up", "down") if about & holders.by_way.get(way, 0)}
    return (
        all(about & holders.by_number.get(written(each), 0) for each in numbers)
        and all(_goes(*change, about, holders) for change in _changes(sentence, numbers, ways))
        and (is_advice or not moved or all(each.lastgroup in moved for each in ways))
        and all(
            about & (offsets.get((side, number), 0) | offsets.get(("", number), 0))
            for side, number in offsets_in(sentence, names, holders.event)
        )
    )


def _union(sets: dict[str, int], keys: Iterable[str]) -> int:
    return reduce(or_, (sets.get(key, 0) for key in keys), 0)


def _way_of(piece: Evidence) -> str:
    before, after = piece.figure("baseline"), piece.figure("observed")
    return _way(before.value, after.value) if before and after else ""


def _way(before: float, after: float) -> str:
    if before == after:
        return ""
    return "up" if after > before else "down"


def _side_of(figure: Figure) -> str:
    if figure.name.endswith("before_event"):
        return BEFORE
    return AFTER if figure.name.endswith("after_event") else ""


def _changes(
    text: str, numbers: Sequence[re.Match[str]], ways: Sequence[re.Match[str]]
) -> Iterator[tuple[str, str, str]]:
    """Each "from A to B": the way that its clause tells ("up", "down" or ""), A and B."""
    starts = [way.start() for way in ways]
    for first, second in pairwise(numbers):
        before = text[max(0, first.start() - _NEARBY_CHARS) : first.start()]
        between = text[first.end() : second.start()][-_NEARBY_CHARS:]
        if _FROM.search(before) and _TO.search(between):
            place = bisect_left(starts, first.start())
            way = ways[place - 1].lastgroup if place else None
            yield way or "", written(first), written(second)


def _goes(way: str, first: str, second: str, about: int, holders: Holders) -> bool:
    """Values are compared, not digits: 513 MiB is less than 1.98 GiB."""
    found = holders.by_pair.get(("", first, second), 0)
    if way and first != second:
        found &= holders.by_pair.get((way, first, second), 0)
    return bool(about & found)
