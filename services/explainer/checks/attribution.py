"""Whether figures stand where they belong: a true figure of something else is not true.

A number or a time must be of the evidence that its sentence cites, and that must be about whom the
sentence names; without a citation, of evidence on something that the sentence names. "From … to …"
must go the way the evidence went, and so must "rose" and "fell" without figures; what was before
the event must not be told as after it, and no call may be turned round.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from services.explainer.checks.holders import Holders, union
from services.explainer.checks.known import fold, has_name
from services.explainer.checks.levels import are_in_their_roles, bounds_stand
from services.explainer.checks.numbers import NUMBER, written
from services.explainer.checks.offsets import offsets_in

EVIDENCE_ID: Final = re.compile(r"\bE\d+\b")
_ABOUT: Final = r"(?:about |around |some |nearly |roughly )?"
_FROM: Final = re.compile(
    r"\bfrom\s+(?:(?:its|the|a|an) )?(?:(?:usual|normal) )?(?:(?:baseline|level|value) )?(?:of )?"
    rf"{_ABOUT}-?$",
    re.IGNORECASE,
)
_TO: Final = re.compile(rf"\bto\s+{_ABOUT}-?$", re.IGNORECASE)
_UP: Final = (
    "rose|risen|rising|rises|increas(?:ed?|es|ing)|gr[eo]wn?|grows|growing|climb(?:s|ed|ing)?"
    "|jump(?:s|ed|ing)?|surg(?:ed?|es|ing)|spik(?:ed?|es|ing)|soar(?:s|ed|ing)?|swell(?:s|ed|ing)?"
    "|escalat(?:ed?|es|ing)|leap(?:s|t|ed|ing)?|ballooned|skyrocketed|went up|go(?:es|ing) up"
    "|shot up|higher than|above (?:the|its|their) (?:usual|normal|baseline)|above (?:usual|normal)"
)
_DOWN: Final = (
    "fell|fallen|falling|falls|decreas(?:ed?|es|ing)|dropp(?:ed|ing)|drops?|sank|sunk|sinks|sinking"
    "|declin(?:ed?|es|ing)|shr[aiu]nk(?:s|ing)?|plummet(?:s|ed|ing)?|plung(?:ed?|es|ing)"
    "|tumbl(?:ed?|es|ing)|collaps(?:ed?|es|ing)|vanish(?:ed|es|ing)?|dwindl(?:ed?|es|ing)"
    "|went down|go(?:es|ing) down|lower than"
    "|below (?:the|its|their) (?:usual|normal|baseline)|below (?:usual|normal)"
)
_WAY = re.compile(rf"\b(?:(?P<up>{_UP})|(?P<down>{_DOWN}))\b", re.IGNORECASE)
_NEARBY_CHARS: Final = 60
_MASK: Final = r"([\U000f0000-\U000ffffd])"
_HAS: Final = re.compile(rf"{_MASK}(?:['\u2019]s? |, whose |, where ){_MASK}")
_OF: Final = re.compile(rf"{_MASK} (?:of|on|in|for) (?:the )?(?:host |pod |service )?{_MASK}")
_CALLS: Final = re.compile(
    rf"{_MASK} (?:calls|called|depends on|relies on|waits for|queries|sends requests to"
    rf"|is a client of) (?:the )?{_MASK}",
    re.IGNORECASE,
)
_ENDED: Final = re.compile(r"\b(?:resolved|ended|cleared|recovered|over|stopped)\b", re.IGNORECASE)


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
    if holders.strays(ids, names) or _is_anothers(sentence, names, holders):
        return False
    numbers = list(NUMBER.finditer(sentence))
    ways = list(_WAY.finditer(sentence))
    moved = {way for way in ("up", "down") if about & holders.by_way.get(way, 0)}
    return (
        all(about & holders.by_number.get(written(each), 0) for each in numbers)
        and (is_advice or are_in_their_roles(sentence, about, holders, cited=bool(ids)))
        and (is_advice or bounds_stand(sentence, about, holders))
        and _is_timely(sentence, ids, names, holders)
        and all(_goes(*change, about, holders) for change in _changes(sentence, numbers, ways))
        and (is_advice or not moved or all(each.lastgroup in moved for each in ways))
        and all(
            about & (offsets.get((side, number), 0) | offsets.get(("", number), 0))
            for side, number in offsets_in(sentence, names, holders.event)
        )
    )


def _is_anothers(sentence: str, names: Sequence[str], holders: Holders) -> bool:
    """Whether a sentence gives somebody a series that is not theirs, or turns a call round."""
    named = iter(names)
    name_at = {at: fold(next(named)) for at, char in enumerate(sentence) if has_name(char)}
    pairs = [(name_at[each.start(1)], name_at[each.start(2)]) for each in _HAS.finditer(sentence)]
    pairs += [(name_at[each.start(2)], name_at[each.start(1)]) for each in _OF.finditer(sentence)]
    for owner, series in pairs:
        theirs, such = holders.by_entity.get(owner, 0), holders.by_metric.get(series, 0)
        if theirs & holders.figured and such and not theirs & such:
            return True
    calls = ((name_at[each.start(1)], name_at[each.start(2)]) for each in _CALLS.finditer(sentence))
    return any(
        (callee, caller) in holders.calls and (caller, callee) not in holders.calls
        for caller, callee in calls
    )


def _is_timely(sentence: str, ids: Sequence[str], names: Sequence[str], holders: Holders) -> bool:
    """Whether each time is one of what the sentence is about, or of the event if it tells of it."""
    times = [owners for name in names if (owners := holders.instants.owners(name))]
    if not times:
        return True
    folded = [fold(name) for name in names if not holders.instants.owners(name)]
    about = holders.cited(ids) or union(holders.by_name, folded) or -1 ^ holders.event_bit
    if holders.event.is_told(sentence, folded) or (not ids and holders.event.is_on(folded)):
        about |= holders.event_bit
    if _ENDED.search(sentence) and holders.event.is_told(sentence, folded):
        about &= ~(holders.event_bit | union(holders.by_name, holders.event.names))
    return all(about & owners for owners in times)


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
