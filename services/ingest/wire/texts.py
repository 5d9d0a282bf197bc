"""What is remembered of texts, exact and without an object per text: 50 ns for one that was met."""

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.samples import Int64s
from services.ingest.wire.fields import OK, Spans, kernels

Body = bytes | NDArray[np.uint8]

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of the texts of a generation; several times what a body may have."""


class _Generation:
    """Texts and their values. Memory is touched as it is filled, but for 16 bytes a text."""

    def __init__(self, most: int, most_bytes: int, dtype: Any, seed: np.uint64) -> None:
        self._seed = seed
        self._slots = np.full(1 << (2 * most - 1).bit_length(), -1, np.int32)
        self._entries = np.empty((most, 6), np.int64)
        self._arena = np.empty(most_bytes, np.uint8)
        self._used = np.zeros(3, np.int64)
        self._values: NDArray[Any] = np.empty(most, dtype)
        self.weight = 0

    def found(self, body: Body, spans: Spans, scopes: Int64s, *, adds: bool) -> "_Found | None":
        """Where the texts of a body are; None when there is no room for all."""
        found = np.empty((3, len(spans)), np.int64)
        verdict, different, missing, _ = kernels().number_texts(
            np.frombuffer(body, np.uint8),
            scopes,
            np.ascontiguousarray(spans.starts),
            np.ascontiguousarray(spans.ends),
            self._slots,
            self._entries,
            self._arena,
            self._used,
            self._seed,
            int(adds),
            found,
        )
        if verdict != OK:
            return None
        return _Found(found[0], found[1, :different], found[2, :different], missing)

    def has_value(self, places: Int64s) -> NDArray[np.bool_]:
        """Whether the text of each place has a value; none has at -1."""
        has: NDArray[np.bool_] = (places >= 0) & (self._entries[places, 5] == 1)
        return has

    def values(self, places: Int64s) -> NDArray[Any]:
        """The value of the text of each place."""
        return self._values[places]

    def put(self, places: Int64s, values: NDArray[Any]) -> None:
        """Gives texts their values."""
        self._values[places] = values
        self._entries[places, 5] = 1


class _Found(NamedTuple):
    """Where the texts of a body are in a generation.

    Attributes:
        which: Of each text, which one of the different texts it is.
        places: Of each of these its place; -1 where it is not there.
        firsts: Where among all texts each of these stands first, ascending.
        missing: How many of these are there and have no value.
    """

    which: Int64s
    places: Int64s
    firsts: Int64s
    missing: int


class Remembered:
    """Values by text, in two generations. For one thread.

    What is met again while the younger generation fills is kept, the rest of the older is dropped.
    A generation must have room for all texts of one body.
    """

    def __init__(
        self,
        most: int,
        dtype: Any,
        most_bytes: int = MOST_BYTES,
        *,
        weigh: Callable[[NDArray[Any]], int] | None = None,
        most_weight: int = 0,
    ) -> None:
        """Generations of `most` texts in `most_bytes`, with values of a numpy type.

        Where values `weigh` something, the body with which a generation gets heavier than
        `most_weight` is its last.
        """
        self._most, self._most_bytes, self._dtype = most, most_bytes, dtype
        self._weigh, self._most_weight = weigh, most_weight
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
        values, which = self.different(body, spans, make, scopes)
        return values if len(values) == len(which) else values[which]

    def different(
        self,
        body: Body,
        spans: Spans,
        make: Callable[[Sequence[int]], Any],
        scopes: Int64s | None = None,
    ) -> tuple[NDArray[Any], Int64s]:
        """Like `of`, the value of each different text, and which of these each text is."""
        scopes = np.zeros(len(spans), np.int64) if scopes is None else scopes
        young, found = self._placed(body, spans, scopes)
        if found.missing:
            new = (~young.has_value(found.places)).nonzero()[0]
            made = self._values(body, spans, scopes, found.firsts[new], make)
            young.put(found.places[new], made)
            young.weight += self._weigh(made) if self._weigh else 0
        return young.values(found.places), found.which

    def _placed(self, body: Body, spans: Spans, scopes: Int64s) -> tuple[_Generation, _Found]:
        for _ in range(2):  # the second time in a new generation, which has room for a body
            if self._young is not None and self._young.weight <= self._most_weight:
                found = self._young.found(body, spans, scopes, adds=True)
                if found is not None:
                    return self._young, found
            self._old = self._young
            self._young = _Generation(self._most, self._most_bytes, self._dtype, self._seed)
        raise AssertionError("a body has more texts than there is room for")

    def _values(
        self,
        body: Body,
        spans: Spans,
        scopes: Int64s,
        new: Int64s,
        make: Callable[[Sequence[int]], Any],
    ) -> NDArray[Any]:
        values, is_known = np.empty(len(new), self._dtype), np.zeros(len(new), np.bool_)
        if self._old is not None:
            asked = Spans(spans.parents[new], spans.starts[new], spans.ends[new])
            found = self._old.found(body, asked, scopes[new], adds=False)
            if found is not None:  # it is: nothing is added
                is_known = self._old.has_value(found.places)
                values[is_known] = self._old.values(found.places[is_known])
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
