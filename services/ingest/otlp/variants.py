"""Words that vary though nothing shows it, such as names: learned. Pure.

What stands in one place of otherwise the same text in more than three forms is a variable there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
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
_REMEMBERED: Final = 1 << 15
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


@dataclass(slots=True)
class _Place:
    """What stood where a text has a variable, which may be in several places; nothing is kept when
    it varies.
    """

    varies: bool = False
    forms: dict[int, Placed] = field(default_factory=dict)


class Variants:
    """Patterns of texts, without words that vary. For one thread.

    Two that were asked in another order, or that forgot, may say a word where the other says a
    variable, until both know enough forms of it.
    """

    def __init__(self, forms: int = FORMS, least_fixed: int = LEAST_FIXED) -> None:
        """Knows none."""
        self._forms, self._least_fixed = forms, least_fixed
        self._places: LRUCache[int, _Place] = LRUCache(_REMEMBERED)
        self._placed: LRUCache[int, Placed] = LRUCache(_REMEMBERED)

    def placed(self, service: str, text: str) -> Placed:
        """The pattern of a text; others may become it.

        Costs some 2 us a word. The last 32 768 places and patterns are remembered.
        """
        words, at = text.split(" "), 1
        known = self._of(service, text)
        while at < min(len(words), _MOST_WORDS):
            place = self._place(service, words, at)
            if place is not None and self._varies(place, (at, words[at]), known):
                words[at], at = SLOT, 1
                general = self._of(service, " ".join(words))
                for each in (known, *place.forms.values()):
                    if each is not general:
                        each.became = general
                known, place.forms = general, {}
            else:
                at += 1
        return known

    def _of(self, service: str, text: str) -> Placed:
        pattern_id = hash64(_VERSION, service, text)
        placed = self._placed.get(pattern_id)
        if placed is None:
            placed = self._placed[pattern_id] = Placed(pattern_id, Pattern(service, text))
        return placed

    def _place(self, service: str, words: Sequence[str], at: int) -> _Place | None:
        """The place of a word; none when it varies anyway, or too few words stand beside it."""
        beside = [*words[:at], SLOT, *words[at + 1 :]]
        fixed = sum(SLOT not in each and any(map(str.isalpha, each)) for each in beside)
        if SLOT in words[at] or fixed < self._least_fixed:
            return None
        key = hash64(service, " ".join(beside))
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = _Place()
        return place

    def _varies(self, place: _Place, form: tuple[int, str], placed: Placed) -> bool:
        if not place.varies:
            place.forms.setdefault(hash(form), placed)
            place.varies = len(place.forms) > self._forms
        return place.varies
