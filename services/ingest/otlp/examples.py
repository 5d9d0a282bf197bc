"""Which errors become examples: a few of each kind and hour."""

from typing import Final

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from services.ingest.model.events import Events

_EACH_HOUR: Final = 5
_PER_BODY: Final = 20
_KINDS: Final = 20_000
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_HOUR_NS: Final = np.uint64(3_600_000_000_000)


class ExampleQuota:
    """What of each kind was taken lately. For one thread."""

    def __init__(self, *, takes: bool = True) -> None:
        """`takes` is whether there are examples at all."""
        self._takes = takes
        self._taken: LRUCache[int, int] = LRUCache(_KINDS)

    def chosen(self, errors: Events) -> list[int]:
        """The places of those errors of a body that become examples, ascending.

        A kind is an operation, a type of exception, a pattern and an hour.
        """
        if not self._takes or not len(errors):
            return []
        kinds = _kinds(errors)
        ordered = np.sort(kinds)  # of the many errors of a body there are few kinds
        is_first = np.ones(len(ordered), np.bool_)
        is_first[1:] = ordered[1:] != ordered[:-1]
        places = list[int]()
        for kind in ordered[is_first].tolist():
            taken = self._taken.get(kind, 0)
            most = min(_EACH_HOUR - taken, _PER_BODY - len(places))
            if most > 0:
                new = (kinds == kind).nonzero()[0][:most].tolist()
                self._taken[kind] = taken + len(new)
                places += new
        return sorted(places)


def _kinds(errors: Events) -> NDArray[np.uint64]:
    """The kind of each error, in 64 bits."""
    kinds: NDArray[np.uint64] = errors["operation"] * _MIX
    for each in (errors["parent"], errors["peer"], errors["start_ns"] // _HOUR_NS):
        kinds = (kinds ^ (kinds >> np.uint64(32)) ^ each) * _MIX
    return kinds
