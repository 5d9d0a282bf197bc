"""Bodies whose form is known beforehand: all their levels in one pass, a table for each kind.

Cost: about 8 ns a field and 5 us a body, where `Fields` costs 40 us a level. What the form does
not name is skipped unread, as `Fields` skips what nobody asks for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mesh.errors import InvalidInput
from services.ingest.model.samples import Float64s, Int64s
from services.ingest.wire.fields import BROKEN, MOST_MESSAGES, Fields, Spans

PARENT, BITS, _START, _END, TAG, _FIRST = range(6)
"""Columns that every table has: the row above, what is there, where the content lies, its tag."""
NUMBER, TEXT, RUN, PART, LEAF = range(1, 6)
"""What the kernel does at a tag."""
_APART: Final = 0
"""The bit of a row that has a run in several pieces, or a text more than once."""
_TAGS: Final = 256
_SPARE_ROWS: Final = 64
_OK, _BROKEN = 0, 1
"""Verdicts of the kernel; importing these would load numba."""
_TOO_MANY: Final = "the body has more than {most} records of a kind: send it in parts"


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """The form of one kind of message. One without any field of its own is listed, not read.

    Attributes:
        numbers: Tags of varint and fixed fields by name: the last counts.
        texts: Tags of fields whose content is wanted, the last where several are sent.
        runs: Tags of fields that senders write side by side, wanted as one piece.
        parts: Messages within, by tag.
        most: Rows that a body may have.
    """

    numbers: Mapping[str, int] = field(default_factory=dict)
    texts: Mapping[str, int] = field(default_factory=dict)
    runs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    parts: Mapping[int, "Message"] = field(default_factory=dict)
    most: int = MOST_MESSAGES

    @property
    def columns(self) -> dict[str, int]:
        """The first column of each field."""
        places = {name: _FIRST + place for place, name in enumerate(self.numbers)}
        first = _FIRST + len(places)
        names = [*self.texts, *self.runs]
        return places | {name: first + 2 * place for place, name in enumerate(names)}

    @property
    def width(self) -> int:
        """How many columns there are."""
        return _FIRST + len(self.numbers) + 2 * (len(self.texts) + len(self.runs))


class Table:
    """The messages of one kind, in the order of the body."""

    __slots__ = ("_columns", "_has_apart", "_message", "cells")

    def __init__(
        self, message: Message, columns: Mapping[str, int], cells: Int64s, has_apart: bool
    ) -> None:
        """`cells` has a row for each, `columns` says what stands where."""
        self.cells = cells
        self._message = message
        self._columns = columns
        self._has_apart = has_apart

    def __len__(self) -> int:
        """How many there are."""
        return len(self.cells)

    @property
    def parents(self) -> Int64s:
        """The row of the message around each, ascending."""
        return self.cells[:, PARENT].copy()

    @property
    def tags(self) -> Int64s:
        """The tag by which each is a part of the message around it."""
        return self.cells[:, TAG]

    def int64(self, name: str) -> Int64s:
        """A varint or fixed field of each; 0 where it is absent."""
        return self.cells[:, self._columns[name]].copy()

    def float64(self, name: str) -> Float64s:
        """A double of each; 0 where it is absent."""
        return self.int64(name).view(np.float64)

    def has(self, name: str) -> NDArray[np.bool_]:
        """Whether each has a field of `numbers`."""
        found: NDArray[np.bool_] = self.cells[:, BITS] & (1 << self._columns[name]) != 0
        return found

    def whole(self) -> Spans:
        """The content of each message."""
        return Spans(self.parents, self.cells[:, _START].copy(), self.cells[:, _END].copy())

    def spans(self, name: str) -> Spans:
        """The content of a text, or a run as it lies in the body; empty where it is absent."""
        column = self._columns[name]
        starts, ends = self.cells[:, column].copy(), self.cells[:, column + 1].copy()
        return Spans(np.arange(len(self)), starts, ends)

    def pieces(self, name: str, body: bytes) -> tuple[bytes, Spans]:
        """The run of each, tags and lengths included; those that do not lie together are joined.

        What is joined lies behind the body, which is given too.
        """
        spans = self.spans(name)
        if not self._has_apart:
            return body, spans
        rows = np.flatnonzero(self.cells[:, BITS] & (1 << _APART))
        whole = self.whole()
        apart = Spans(rows, whole.starts[rows], whole.ends[rows])
        joined, found = Fields(body, apart).runs(self._message.runs[name], body)
        spans.starts[rows], spans.ends[rows] = found.starts, found.ends
        return joined, spans


@dataclass(frozen=True, slots=True)
class _Room:
    """Where the rows of each kind go: in how many from which cell on, of so many cells."""

    rows: Int64s
    bases: Int64s
    cells: int


class Tables:
    """What was read of a body: a table for each kind of message."""

    def __init__(self, layout: "Layout", counts: Int64s, bases: Int64s, cells: Int64s) -> None:
        """Kind n begins at its base in `cells`.

        `counts` says how many rows it has, and whether one of them is `_APART`.
        """
        self._layout = layout
        self._counts, self._has_apart = counts.tolist()
        self._bases = bases.tolist()
        self._cells = cells

    def count(self, message: Message) -> int:
        """How many messages of a kind there are."""
        count: int = self._counts[self._layout[message][0]]
        return count

    def __getitem__(self, message: Message) -> Table:
        """The table of a kind."""
        kind, width, columns = self._layout[message]
        base, count = self._bases[kind], self._counts[kind]
        rows = self._cells[base : base + count * width].reshape(count, width)
        return Table(message, columns, rows, bool(self._has_apart[kind]))


Layout = Mapping[Message, tuple[int, int, Mapping[str, int]]]
"""The number of each kind, its width, and its columns."""


class TreeReader:
    """Reads bodies of one form. For one thread."""

    def __init__(self, root: Message) -> None:
        """Bodies are messages `root`."""
        self._messages: list[Message] = []
        self._number(root)
        messages = self._messages
        self._actions = np.array([self._row(each) for each in messages], np.int32)
        self._widths = np.array([each.width for each in messages], np.int64)
        self._most = np.array([each.most for each in messages], np.int64)
        self._layout: Layout = {
            each: (kind, each.width, each.columns) for kind, each in enumerate(messages)
        }
        self._rooms: dict[int, _Room] = {}
        self._stack = np.empty((len(messages), 3), np.int64)

    def read(self, body: bytes) -> Tables:
        """The tables of a body.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
        """
        size = len(body).bit_length()
        room = self._rooms.get(size) or self._room_for(0)
        counts = np.zeros((2, len(self._messages)), np.int64)
        cells, fits = self._walked(body, room, counts)
        if not fits:  # more than the bodies of this size before had: now it is known how many
            room = self._rooms[size] = self._room_for(np.maximum(counts[0], room.rows))
            counts[:] = 0
            cells, _ = self._walked(body, room, counts)
        return Tables(self._layout, counts, room.bases, cells)

    def _walked(self, body: bytes, room: _Room, counts: Int64s) -> tuple[Int64s, bool]:
        cells = np.empty(room.cells, np.int64)
        verdict = _walk()(
            np.frombuffer(body, np.uint8),
            self._actions,
            self._widths,
            room.bases,
            room.rows,
            self._stack,
            counts,
            cells,
        )
        if verdict == _BROKEN:
            raise InvalidInput(BROKEN, reason="BODY_BROKEN")
        return cells, verdict == _OK

    def _room_for(self, counts: Int64s | int) -> _Room:
        """Room for so many rows and some more.

        Raises:
            InvalidInput: TOO_MANY_FIELDS.
        """
        if (counts > self._most).any():
            most = int(self._most[np.argmax(counts > self._most)])
            raise InvalidInput(_TOO_MANY.format(most=most), reason="TOO_MANY_FIELDS")
        rows = np.minimum(counts + counts // 8 + _SPARE_ROWS, self._most)
        sizes = (rows + 1) * self._widths
        ends = np.cumsum(sizes)
        return _Room(rows, ends - sizes, int(ends[-1]))

    def _number(self, message: Message) -> None:
        if message not in self._messages:
            self._messages.append(message)
            for part in message.parts.values():
                self._number(part)

    def _row(self, message: Message) -> list[int]:
        """What to do at each tag: see the kernel."""
        row, columns = [0] * _TAGS, message.columns
        uses = [
            *((tag, NUMBER, columns[name]) for name, tag in message.numbers.items()),
            *((tag, TEXT, columns[name]) for name, tag in message.texts.items()),
            *((tag, RUN, columns[name]) for name, tags in message.runs.items() for tag in tags),
            *(
                (tag, PART if _is_read(part) else LEAF, self._messages.index(part))
                for tag, part in message.parts.items()
            ),
        ]
        for tag, action, about in uses:
            if row[tag]:
                raise ValueError(f"tag {tag} has two uses")
            row[tag] = action | about << 3
        return row


def _is_read(message: Message) -> bool:
    return bool(message.width > _FIRST or message.parts)


@cache
def _walk() -> Any:
    # numba takes a second and a hundred megabytes: only who reads such bodies pays for it
    from services.ingest.wire import tree_kernel

    return tree_kernel.walk
