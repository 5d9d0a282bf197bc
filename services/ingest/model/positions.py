"""Positions in a log: rows sorted by shard, each shard chained to its place before. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.samples import Heads


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPosition:
    """One entry of a log. The lists are parallel: one item per shard inside.

    Attributes:
        order: The rows by shard; rows of a shard keep their order.
        row_ends: Where the rows of each shard end in that order.
        previous: The position before this one that holds the shard.
        totals: Rows of the shard up to and with this entry.
    """

    offset: int
    order: NDArray[np.intp]
    shards: list[int]
    row_ends: list[int]
    previous: list[int]
    totals: list[int]


class Positions:
    """Hands out positions for a run of entries, from the heads as they were locked."""

    def __init__(self, heads: Heads) -> None:
        """Continues after `heads`."""
        self.last_offset = heads.last_offset
        self.offsets = list(heads.offsets)
        self.totals = list(heads.totals)

    def place(self, shards: NDArray[Any]) -> EntryPosition:
        """The next entry, whose rows lie in these shards; without any it is in all of them."""
        counts = np.bincount(shards, minlength=len(self.offsets))
        inside = np.flatnonzero(counts).tolist() or list(range(len(self.offsets)))
        self.last_offset += 1
        previous = [self.offsets[shard] for shard in inside]
        for shard in inside:
            self.offsets[shard] = self.last_offset
            self.totals[shard] += int(counts[shard])
        return EntryPosition(
            offset=self.last_offset,
            order=np.argsort(shards, kind="stable"),
            shards=inside,
            row_ends=np.cumsum(counts[inside]).tolist(),
            previous=previous,
            totals=[self.totals[shard] for shard in inside],
        )
