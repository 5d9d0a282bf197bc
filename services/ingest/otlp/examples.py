"""Which errors become examples: a few of each kind and hour."""

from typing import Final

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

_EACH_HOUR: Final = 5
_PER_BODY: Final = 20
_KINDS: Final = 20_000


class ExampleQuota:
    """What of each kind was taken lately. For one thread."""

    def __init__(self, *, takes: bool = True) -> None:
        """`takes` is whether there are examples at all."""
        self._takes = takes
        self._taken: LRUCache[int, int] = LRUCache(_KINDS)

    def chosen(self, rows: NDArray[np.uint64]) -> list[int]:
        """The places of those errors of a body that become examples, ascending.

        A kind is an operation, a type of exception, a pattern and an hour.

        Args:
            rows: Rows of events, as nine words each.
        """
        if not self._takes or not len(rows):
            return []
        # numba takes a second and a hundred megabytes: only who reads such bodies pays for it
        from services.ingest.wire.event_kernels import error_kinds

        which, kinds = np.empty(len(rows), np.int64), np.empty(len(rows), np.uint64)
        slots = np.empty(1 << (2 * len(rows)).bit_length(), np.int64)
        found = error_kinds(rows, which, kinds, slots)  # type: ignore[no-untyped-call]
        places = list[int]()
        for number, kind in enumerate(kinds[:found].tolist()):
            taken = self._taken.get(kind, 0)
            most = min(_EACH_HOUR - taken, _PER_BODY - len(places))
            if most > 0:
                new = (which == number).nonzero()[0][:most].tolist()
                self._taken[kind] = taken + len(new)
                places += new
        return sorted(places)
