"""Stretches of minutes whose sums are worth keeping: many questions share them. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from services.topology.query.spans import HOUR

PARTS: Final = 4
LENGTHS: Final = (16, 4, 1)
"""In minutes, each begun at a multiple of its length."""


@dataclass(frozen=True, slots=True)
class Block:
    """`length` minutes from `first` on, since the Unix epoch."""

    first: int
    length: int = 1

    @property
    def is_stored(self) -> bool:
        """Whether the store holds it as such: a minute, or an hour that is rolled up."""
        return self.length in (1, HOUR)

    @property
    def parts(self) -> "Sequence[Block]":
        """The blocks of which one that is not stored consists."""
        length = self.length // PARTS
        return [Block(self.first + place * length, length) for place in range(PARTS)]


def cover(minutes: Collection[int]) -> list[Block]:
    """The fewest blocks that hold these minutes and no others.

    >>> [(each.first, each.length) for each in cover(range(3, 21))]
    [(3, 1), (4, 4), (8, 4), (12, 4), (16, 4), (20, 1)]
    >>> [(each.first, each.length) for each in cover(range(15, 33))]
    [(15, 1), (16, 16), (32, 1)]
    """
    left, found = set(minutes), list[Block]()
    for minute in sorted(left):
        if minute in left:
            block = next(each for each in _begun_at(minute) if left.issuperset(_minutes(each)))
            left.difference_update(_minutes(block))
            found.append(block)
    return found


def _begun_at(minute: int) -> Sequence[Block]:
    return [Block(minute, length) for length in LENGTHS if minute % length == 0]


def _minutes(block: Block) -> range:
    return range(block.first, block.first + block.length)
