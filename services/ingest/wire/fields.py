"""The fields of many messages at once, one level at a time, as parallel columns.

Cost: about 5 ns a field, then a few numpy calls a level, however many messages there are. A field
that nobody asks for is skipped unread, so what it holds is not checked. Groups are refused.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from mesh.errors import InvalidInput
from services.ingest.model.samples import Float64s, Int64s

UInt64s = NDArray[np.uint64]
Int32s = NDArray[np.int32]
B = TypeVar("B", bytes, NDArray[np.uint8])

MOST_FIELDS: Final = 1_000_000
"""In one level of one body: what they take in memory is bounded, whatever the body claims."""

MOST_MESSAGES: Final = 100_000
"""Series, metrics, points or the like: what stays of each outlives the columns."""

_TOO_MANY: Final = f"the body has more than {MOST_FIELDS} fields: send it in parts"
BROKEN: Final = "the body is not the protobuf message that it should be"

OK, _FULL = 0, 2
"""Verdicts of the kernels; importing these would load numba."""


def varint(number: int) -> int:
    """The tag of a varint field."""
    return number << 3


def fixed64(number: int) -> int:
    """The tag of a double, fixed64 or sfixed64 field."""
    return number << 3 | 1


def chunk(number: int) -> int:
    """The tag of a string, bytes, message or packed field."""
    return number << 3 | 2


@dataclass(frozen=True, slots=True)
class Spans:
    """Stretches of a body: `starts` inclusive, `ends` exclusive; `parents` says whose they are."""

    parents: Int64s
    starts: Int64s
    ends: Int64s

    def __len__(self) -> int:
        """How many there are."""
        return len(self.starts)

    def few(self, most: int = MOST_MESSAGES) -> "Spans":
        """The same spans, each of which will be an object of its own.

        Raises:
            InvalidInput: TOO_MANY_FIELDS: there are more than `most`.
        """
        if len(self) > most:
            message = f"the body has more than {most} records of a kind: send it in parts"
            raise InvalidInput(message, reason="TOO_MANY_FIELDS")
        return self

    def spread(self, most: int) -> "Spans":
        """At most so many of them, from all over the body."""
        if len(self) <= most:
            return self
        places = np.linspace(0, len(self) - 1, most).astype(np.int64)
        return Spans(self.parents[places], self.starts[places], self.ends[places])

    def one(self, body: B, place: int) -> B:
        """The bytes of one."""
        found: B = body[self.starts[place] : self.ends[place]]
        return found

    def of(self, body: bytes) -> list[bytes]:
        """The bytes of each."""
        pairs = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        return [body[start:end] for start, end in pairs]


NO_SPANS: Final = Spans(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))


class Fields:
    """The fields of the messages in some spans. `parents` counts the messages from 0."""

    def __init__(self, body: bytes, spans: Spans) -> None:
        """Lists them.

        Raises:
            InvalidInput: BODY_BROKEN, or TOO_MANY_FIELDS.
        """
        self.messages = len(spans)
        room = min(MOST_FIELDS, int((spans.ends - spans.starts).sum()) // 2 + 1)
        parents, tags = np.empty(room, np.int32), np.empty(room, np.int32)
        begins, lasts = np.empty(room, np.int64), np.empty(room, np.int64)
        values = np.empty(room, np.uint64)
        found = _listed(
            *kernels().scan(
                np.frombuffer(body, np.uint8),
                np.ascontiguousarray(spans.starts),
                np.ascontiguousarray(spans.ends),
                parents,
                tags,
                begins,
                values,
                lasts,
            )
        )
        self._parents, self._tags = parents[:found], tags[:found]
        self._begins, self._values, self._lasts = begins[:found], values[:found], lasts[:found]

    @classmethod
    def of_body(cls, body: bytes) -> "Fields":
        """The fields of the one message that a body is."""
        end = np.array([len(body)], np.int64)
        return cls(body, Spans(np.zeros(1, np.int64), np.zeros(1, np.int64), end))

    @cached_property
    def _rows(self) -> dict[int, NDArray[np.intp]]:
        return {}

    def rows(self, tag: int) -> NDArray[np.intp]:
        """The places of a field in the list, in the order of the body."""
        if tag not in self._rows:
            self._rows[tag] = np.flatnonzero(self._tags == tag)
        return self._rows[tag]

    def parents(self, tag: int) -> Int64s:
        """The message of each field of this tag."""
        return self._parents[self.rows(tag)].astype(np.int64)

    def numbers(self, tag: int) -> UInt64s:
        """The raw number of each varint or fixed field of this tag."""
        return self._values[self.rows(tag)]

    def spans(self, tag: int) -> Spans:
        """The content of each string, message or packed field of this tag."""
        rows = self.rows(tag)
        starts = self._values[rows].view(np.int64)
        return Spans(self._parents[rows].astype(np.int64), starts, self._lasts[rows])

    def int64(self, tag: int) -> Int64s:
        """A varint or fixed field of each message: 0 where absent, the last where repeated."""
        return self._each(tag).view(np.int64)

    def sint64(self, tag: int) -> Int64s:
        """Like `int64`, of a zigzag field."""
        return unzigzag(self._each(tag))

    def float64(self, tag: int) -> Float64s:
        """A double of each message; 0 where it is absent."""
        return self._each(tag).view(np.float64)

    def has(self, tag: int) -> NDArray[np.bool_]:
        """Whether each message has a field."""
        present = np.zeros(self.messages, np.bool_)
        present[self._parents[self.rows(tag)]] = True
        return present

    def last(self, tag: int) -> Spans:
        """The content of a field of each message, in their order; empty where it is absent."""
        starts, ends = np.zeros(self.messages, np.int64), np.zeros(self.messages, np.int64)
        found = self.spans(tag)
        starts[found.parents], ends[found.parents] = found.starts, found.ends
        return Spans(np.arange(self.messages), starts, ends)

    def runs(self, tags: tuple[int, ...], body: bytes) -> tuple[bytes, Spans]:
        """All fields of some tags of each message as one piece, tags and lengths included.

        Senders write them side by side, so a piece is a span of the body; where they do not, the
        parts are joined behind the body, which is given too.
        """
        rows = np.flatnonzero(np.isin(self._tags, tags))
        starts, ends = np.zeros(self.messages, np.int64), np.zeros(self.messages, np.int64)
        owners = self._parents[rows]
        firsts = np.flatnonzero(np.diff(owners, prepend=-1))
        lasts = np.append(firsts[1:], len(rows))[: len(firsts)] - 1
        starts[owners[firsts]] = self._begins[rows[firsts]]
        ends[owners[firsts]] = self._lasts[rows[lasts]]
        together = rows[lasts] - rows[firsts] == lasts - firsts
        pieces, size = [body], len(body)
        for place in np.flatnonzero(~together).tolist():
            apart = rows[firsts[place] : lasts[place] + 1]
            parts = zip(self._begins[apart].tolist(), self._lasts[apart].tolist(), strict=True)
            owner = owners[firsts[place]]
            pieces.append(b"".join(body[begin:end] for begin, end in parts))
            starts[owner], ends[owner] = size, size + len(pieces[-1])
            size += len(pieces[-1])
        joined = b"".join(pieces) if len(pieces) > 1 else body
        return joined, Spans(np.arange(self.messages), starts, ends)

    def _each(self, tag: int) -> UInt64s:
        values = np.zeros(self.messages, np.uint64)
        rows = self.rows(tag)
        values[self._parents[rows]] = self._values[rows]
        return values


def packed_varints(body: bytes, fields: Fields, number: int) -> tuple[Int64s, UInt64s]:
    """The numbers of a repeated varint field, packed or not: whose they are, and the raw numbers.

    Raises:
        InvalidInput: BODY_BROKEN, or TOO_MANY_FIELDS.
    """
    spans = fields.spans(chunk(number))
    places, values = varints(body, spans)
    owners = spans.parents[places]
    return _with_single(fields, varint(number), chunk(number), owners, values, places)


def varints(body: bytes, spans: Spans) -> tuple[Int32s, UInt64s]:
    """The numbers of packed varint fields: in which of the spans each lies, and the raw numbers.

    Raises:
        InvalidInput: BODY_BROKEN, or TOO_MANY_FIELDS.
    """
    room = min(MOST_FIELDS, int((spans.ends - spans.starts).sum()) + 1)
    places, values = np.empty(room, np.int32), np.empty(room, np.uint64)
    found = _listed(
        *kernels().varints(
            np.frombuffer(body, np.uint8), spans.starts.copy(), spans.ends.copy(), places, values
        )
    )
    return places[:found], values[:found]


def numbers_at(body: bytes, runs: Spans, numbers: Int64s) -> tuple[NDArray[np.uint8], Spans]:
    """The numbers at the places that repeated varint fields give, eight bytes each; -1 beyond them.

    Args:
        body: The bytes in which the fields lie.
        runs: The fields of each message, packed or not, tags and lengths included.
        numbers: At each place.

    Returns:
        The numbers of all messages, and where those of each lie.

    Raises:
        InvalidInput: BODY_BROKEN, or TOO_MANY_FIELDS.
    """
    at = np.empty(min(MOST_FIELDS, len(body)), np.int64)
    edges = np.empty(len(runs) + 1, np.int64)
    content = np.frombuffer(body, np.uint8)
    _listed(*kernels().numbers_at(content, runs.starts, runs.ends, numbers, at, edges))
    return at.view(np.uint8), Spans(runs.parents, edges[:-1], edges[1:])


def packed_doubles(body: bytes, fields: Fields, number: int) -> tuple[Int64s, Float64s]:
    """The numbers of a repeated double field, packed or not: whose they are, and the numbers.

    Raises:
        InvalidInput: BODY_BROKEN.
    """
    owners, raw = packed_fixed64(body, fields, number)
    return owners, raw.view(np.float64)


def packed_fixed64(body: bytes, fields: Fields, number: int) -> tuple[Int64s, UInt64s]:
    """Like `packed_doubles`, as raw numbers."""
    spans = fields.spans(chunk(number))
    sizes = spans.ends - spans.starts
    if (sizes % 8).any():
        raise InvalidInput(BROKEN, reason="BODY_BROKEN")
    content = b"".join(spans.of(body))
    places = np.repeat(np.arange(len(spans)), sizes // 8).astype(np.int32)
    values = np.frombuffer(content, "<u8").astype(np.uint64)
    owners = spans.parents[places]
    return _with_single(fields, fixed64(number), chunk(number), owners, values, places)


def unzigzag(raw: UInt64s) -> Int64s:
    """Signed numbers as sint32 and sint64 encode them."""
    negative = (raw & np.uint64(1)).view(np.int64)
    return (raw >> np.uint64(1)).view(np.int64) ^ -negative


def _with_single(
    fields: Fields,
    single: int,
    packed: int,
    owners: Int64s,
    values: UInt64s,
    places: Int32s,
) -> tuple[Int64s, UInt64s]:
    """Adds what was sent unpacked, each number where it stands in the body."""
    alone = fields.rows(single)
    if not len(alone):
        return owners, values
    stands = np.concatenate([fields.rows(packed)[places[: len(values)]], alone])
    order = np.argsort(stands, kind="stable")
    owners = np.concatenate([owners, fields.parents(single)])[order]
    return owners, np.concatenate([values, fields.numbers(single)])[order]


def _listed(verdict: int, found: int) -> int:
    if verdict == _FULL and found >= MOST_FIELDS:
        raise InvalidInput(_TOO_MANY, reason="TOO_MANY_FIELDS")
    if verdict != OK:
        raise InvalidInput(BROKEN, reason="BODY_BROKEN")
    return found


@cache
def kernels() -> Any:
    """The compiled loops: numba takes a second and a hundred megabytes, which only who reads such
    bodies pays for.
    """
    from services.ingest.wire import kernels

    return kernels
