"""What is remembered of texts, exact and without an object per text: 50 ns for one that was met."""

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.samples import Int64s
from services.ingest.wire.fields import Spans

Body = bytes | NDArray[np.uint8]

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of the texts of a generation; several times what a body may have."""


class _Generation:
    """Texts and their values. Memory is touched as it is filled, but for 25 bytes a text."""

    def __init__(self, most: int, most_bytes: int, dtype: Any, seed: np.uint64) -> None:
        self._seed = seed
        self._slots = np.full(1 << (2 * most - 1).bit_length(), -1, np.int32)
        self._hashes = np.empty(most, np.uint64)
        self._scopes = np.empty(most, np.int64)
        self._begins, self._ends = np.empty(most, np.int64), np.empty(most, np.int64)
        self._arena = np.empty(most_bytes, np.uint8)
        self._used = np.zeros(2, np.int64)
        self.values: NDArray[Any] = np.empty(most, dtype)
        self.is_known = np.zeros(most, np.bool_)

    def places(
        self, body: Body, spans: Spans, scopes: Int64s, *, adds: bool
    ) -> tuple[bool, Int64s]:
        """Whether there was room for all, and the place of each text: -1 for one not there."""
        # numba takes a second and a hundred megabytes: only who reads such bodies pays for it
        from services.ingest.wire import kernels

        places = np.empty(len(spans), np.int64)
        verdict = kernels.number_texts(  # type: ignore[no-untyped-call]
            np.frombuffer(body, np.uint8),
            scopes,
            np.ascontiguousarray(spans.starts),
            np.ascontiguousarray(spans.ends),
            self._slots,
            self._hashes,
            self._scopes,
            self._begins,
            self._ends,
            self._arena,
            self._used,
            self._seed,
            int(adds),
            places,
        )
        return verdict == kernels.OK, places


class Remembered:
    """Values by text, in two generations. For one thread.

    What is met again while the younger generation fills is kept, the rest of the older is dropped.
    A generation must have room for all texts of one body.
    """

    def __init__(self, most: int, dtype: Any, most_bytes: int = MOST_BYTES) -> None:
        """Generations of `most` texts in `most_bytes`, with values of a numpy type."""
        self._most, self._most_bytes, self._dtype = most, most_bytes, dtype
        self._seed = np.uint64(secrets.randbits(64))
        self._young: _Generation | None = None
        self._old: _Generation | None = None

    def of(
        self,
        body: Body,
        spans: Spans,
        make: Callable[[Sequence[int]], Any],
        scopes: Int64s | None = None,
    ) -> NDArray[Any]:
        """The value of each text; `make` gives those of the places that are new, in their order.

        The same text of another scope, a number for each, is another one. What `make` raises is
        raised: then these places are as new as before.
        """
        values, places = self.placed(body, spans, make, scopes)
        return values[places]

    def placed(
        self,
        body: Body,
        spans: Spans,
        make: Callable[[Sequence[int]], Any],
        scopes: Int64s | None = None,
    ) -> tuple[NDArray[Any], Int64s]:
        """Like `of`, as values that are good until the next call, and the place of each there."""
        scopes = np.zeros(len(spans), np.int64) if scopes is None else scopes
        young, places = self._placed(body, spans, scopes)
        is_known = young.is_known[places]
        if not is_known.all():
            new = (~is_known).nonzero()[0]
            made, firsts = np.unique(places[new], return_index=True)
            young.values[made] = self._values(body, spans, scopes, new[firsts], make)
            young.is_known[made] = True
        return young.values, places

    def _placed(self, body: Body, spans: Spans, scopes: Int64s) -> tuple[_Generation, Int64s]:
        for _ in range(2):  # the second time in a new generation, which has room for a body
            if self._young is not None:
                fits, places = self._young.places(body, spans, scopes, adds=True)
                if fits:
                    return self._young, places
            self._old = self._young
            self._young = _Generation(self._most, self._most_bytes, self._dtype, self._seed)
        raise AssertionError("a body has more texts than there is room for")

    def _values(
        self,
        body: Body,
        spans: Spans,
        scopes: Int64s,
        new: NDArray[np.intp],
        make: Callable[[Sequence[int]], Any],
    ) -> NDArray[Any]:
        values, is_known = np.empty(len(new), self._dtype), np.zeros(len(new), np.bool_)
        if self._old is not None:
            asked = Spans(spans.parents[new], spans.starts[new], spans.ends[new])
            _, places = self._old.places(body, asked, scopes[new], adds=False)
            is_known = (places >= 0) & self._old.is_known[places]
            values[is_known] = self._old.values[places[is_known]]
        missing = (~is_known).nonzero()[0]
        if len(missing):
            values[missing] = make(new[missing].tolist())
        return values


class Texts:
    """Numbers for texts: the same text has the same one while it is remembered.

    A number is never given twice. For one thread.
    """

    def __init__(self, most: int) -> None:
        """Remembers at least the last `most` texts."""
        self._remembered = Remembered(most, np.int64)
        self._next = 0

    def numbers(self, body: Body, spans: Spans, scopes: Int64s | None = None) -> Int64s:
        """The number of each text; the same text of another scope has another one."""
        return self._remembered.of(body, spans, self._new, scopes)

    def _new(self, places: Sequence[int]) -> Int64s:
        first, self._next = self._next, self._next + len(places)
        return np.arange(first, self._next)


def present(places: Int64s) -> Int64s:
    """Which places there are, ascending; none is below 0."""
    is_there = np.zeros(int(places.max(initial=-1)) + 1, np.bool_)
    is_there[places] = True
    return is_there.nonzero()[0]
