"""Spans of time in whole minutes, and the hours and minutes that hold them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.topology.store.minutes import Standing

MINUTES_KEPT: Final = 26 * 60
HOUR: Final = 60
DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Minutes:
    """From `first` to before `until`, in minutes since the Unix epoch."""

    first: int
    until: int

    def __len__(self) -> int:
        """How many there are."""
        return max(0, self.until - self.first)

    def earlier(self, minutes: int) -> "Minutes":
        """The same stretch so much before."""
        return Minutes(self.first - minutes, self.until - minutes)

    def without(self, other: "Minutes") -> "list[Minutes]":
        """What is left of it outside another."""
        parts = [
            Minutes(self.first, min(self.until, other.first)),
            Minutes(max(self.first, other.until), self.until),
        ]
        return [each for each in parts if len(each)] if len(self) else []


def usual_of(observed: Minutes) -> list[Minutes]:
    """The hour before, and the same stretch a day earlier."""
    return [Minutes(observed.first - HOUR, observed.first), observed.earlier(DAY)]


def numbers(spans: Sequence[Minutes]) -> list[int]:
    """Each minute once."""
    return sorted({minute for each in spans for minute in range(each.first, each.until)})


def parts(minutes: Sequence[int], standing: Standing) -> tuple[list[int], list[int]]:
    """Hours and minutes in which some minutes are stored.

    Whole hours that are rolled up are read as such. Where minutes are not kept any more, an hour of
    which any minute is asked for is read as a whole.
    """
    by_hour: dict[int, list[int]] = {}
    for minute in minutes:
        by_hour.setdefault(minute // HOUR, []).append(minute)
    oldest = standing.second // 60 - MINUTES_KEPT
    hours, left = list[int](), list[int]()
    for hour, asked in by_hour.items():
        is_rolled = hour < standing.rolled_before
        if is_rolled and (len(asked) == HOUR or hour * HOUR < oldest):
            hours.append(hour)
        else:
            left.extend(asked)
    return hours, left
