"""Which errors become examples: a few of each kind and hour."""

from typing import Final

import numpy as np
from cachetools import LRUCache

from services.ingest.model.events import Events

_EACH_HOUR: Final = 5
_PER_BODY: Final = 20
_KINDS: Final = 20_000
_HOUR_NS: Final = np.uint64(3_600_000_000_000)


class ExampleQuota:
    """What of each kind was taken lately. For one thread."""

    def __init__(self, *, takes: bool = True) -> None:
        """`takes` is whether there are examples at all."""
        self._takes = takes
        self._taken: LRUCache[tuple[int, int, int, int], int] = LRUCache(_KINDS)

    def chosen(self, errors: Events) -> list[int]:
        """The places of those errors of a body that become examples.

        A kind is an operation, a type of exception, a pattern and an hour.
        """
        if not self._takes:
            return []
        columns = errors["operation"], errors["peer"], errors["parent"], _hours(errors)
        places, spent = list[int](), set[tuple[int, int, int, int]]()
        for place, kind in enumerate(zip(*(each.tolist() for each in columns), strict=True)):
            if kind in spent:
                continue
            taken = self._taken.get(kind, 0)
            if taken >= _EACH_HOUR:
                spent.add(kind)
                continue
            self._taken[kind] = taken + 1
            places.append(place)
            if len(places) == _PER_BODY:
                break
        return places


def _hours(errors: Events) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint64]]":
    hours: np.ndarray[tuple[int, ...], np.dtype[np.uint64]] = errors["start_ns"] // _HOUR_NS
    return hours
