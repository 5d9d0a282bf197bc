"""Words that vary though nothing shows it, such as names: learned. Pure.

What stands in one place of otherwise the same text in more than three forms is a variable there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Optional

from cachetools import LRUCache

from services.ingest.model.events import Pattern, hash64

SLOT: Final = "<*>"
FORMS: Final = 3
"""What stands in one place may have so many forms that are texts of their own."""
LEAST_FIXED: Final = 2
"""So many other words must stay: with fewer, a text would not say anything any more."""
_MOST_WORDS: Final = 16
"""At the beginning of a text, in which places are watched; but for the first, which says what it
is about.
"""
_REMEMBERED: Final = 1 << 14
_VERSION: Final = "2"
"""Of how patterns are made: another one gives each another id, instead of mixing both."""


@dataclass(slots=True, eq=False)
class Placed:
    """A pattern and its id, which is also of the service.

    Attributes:
        became: What it is since a word of it varies.
    """

    pattern_id: int
    pattern: Pattern
    became: Optional["Placed"] = None

    def latest(self) -> "Placed":
        """What it is now."""
        placed = self
        while placed.became is not None:
            placed = placed.became
        return placed


_VARIES: Final[tuple[Placed, ...]] = ()


class Variants:
    """Patterns of texts, without words that vary. For one thread.

    Two that were asked in another order, or that forgot, may say a word where the other says a
    variable, until both know enough forms of it.
    """

    def __init__(self, forms: int = FORMS, least_fixed: int = LEAST_FIXED) -> None:
        """Knows none."""
        self._forms, self._least_fixed = forms, least_fixed
        self._places: LRUCache[int, tuple[Placed, ...]] = LRUCache(_REMEMBERED)
        """The patterns of the texts that differ in a place alone; _VARIES from a number on."""
        self._placed: LRUCache[int, Placed] = LRUCache(_REMEMBERED)

    def placed(self, service: str, text: str) -> Placed:
        """The pattern of a text; others may become it.

        Costs some 2 us a word. The last 16 384 places and patterns are remembered.
        """
        words, at, known = text.split(" "), 1, self._of(service, text)
        while at < min(len(words), _MOST_WORDS):
            same = self._same_but_for(service, words, at, known)
            if same is None:
                at += 1
                continue
            words[at], at = SLOT, 1
            general = self._of(service, " ".join(words))
            for each in (known, *same):
                if each is not general:
                    each.became = general
            known = general
        return known

    def _of(self, service: str, text: str) -> Placed:
        pattern_id = hash64(_VERSION, service, text)
        placed = self._placed.get(pattern_id)
        if placed is None:
            placed = self._placed[pattern_id] = Placed(pattern_id, Pattern(service, text))
        return placed

    def _same_but_for(
        self, service: str, words: Sequence[str], at: int, known: Placed
    ) -> tuple[Placed, ...] | None:
        """The patterns that become one as a place varies; none when it does not.

        It does not when it is a variable anyway, or when too few words stand beside it.
        """
        beside = [*words[:at], SLOT, *words[at + 1 :]]
        fixed = sum(SLOT not in each and any(map(str.isalpha, each)) for each in beside)
        if SLOT in words[at] or fixed < self._least_fixed:
            return None
        key = hash64(service, " ".join(beside))
        same = self._places.get(key)
        if same is None:
            same = ()
        elif not same:
            return same
        if all(each.pattern_id != known.pattern_id for each in same):
            same = (*same, known)
        varies = len(same) > self._forms
        self._places[key] = _VARIES if varies else same
        return same if varies else None
