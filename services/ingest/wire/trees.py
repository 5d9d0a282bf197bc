"""Bodies whose form is known beforehand: all their levels in one pass, a table for each kind.

Cost: about 8 ns a field and 20 us a body, where `Fields` costs 40 us a level. What the form does
not name is skipped unread, as `Fields` skips what nobody asks for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mesh.errors import InvalidInput
from services.ingest.model.samples import Float64s, Int64s
from services.ingest.wire.fields import BROKEN, MOST_MESSAGES, Fields, Spans

_PARENT, _BITS, _START, _END, _TAG, _FIRST = range(6)
"""Columns that every table has: the row above, what is there, where the content lies, its tag."""
NUMBER, TEXT, RUN, PART, LEAF, ODD = range(1, 7)
"""What the kernel does at a tag."""
_ODD: Final = 0
"""The bit of a row whose form was not the usual one."""
_TAGS: Final = 256
_SPARE_ROWS: Final = 64
_TOO_MANY: Final = "the body has more than {most} records of a kind: send it in parts"


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """The form of one kind of message. One without any field of its own is listed, not read.

    Attributes:
        numbers: Tags of varint and fixed fields by name: the last counts.
        texts: Tags of fields whose content is wanted, the last where several are sent.
        runs: Tags of fields that senders write side by side, wanted as one piece.
        parts: Messages within, by tag.
        odd: Tags that no usual sender writes; a row that has one is `odd`.
        most: Rows that a body may have.
    """

    numbers: Mapping[str, int] = field(default_factory=dict)
    texts: Mapping[str, int] = field(default_factory=dict)
    runs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    parts: Mapping[int, "Message"] = field(default_factory=dict)
    odd: tuple[int, ...] = ()
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

    def __init__(self, message: Message, columns: Mapping[str, int], cells: Int64s) -> None:
        """`cells` has a row for each, `columns` says what stands where."""
        self._message = message
        self._columns = columns
        self._cells = cells

    def __len__(self) -> int:
        """How many there are."""
        return len(self._cells)

    @property
    def parents(self) -> Int64s:
        """The row of the message around each, ascending."""
        return self._cells[:, _PARENT].copy()

    @property
    def tags(self) -> Int64s:
        """The tag by which each is a part of the message around it."""
        return self._cells[:, _TAG]

    @property
    def odd(self) -> NDArray[np.bool_]:
        """Which have a field of `odd`, or a text more than once, or a run in several pieces."""
        found: NDArray[np.bool_] = self._cells[:, _BITS] & (1 << _ODD) != 0
        return found

    def int64(self, name: str) -> Int64s:
        """A varint or fixed field of each; 0 where it is absent."""
        return self._cells[:, self._columns[name]].copy()

    def float64(self, name: str) -> Float64s:
        """A double of each; 0 where it is absent."""
        return self.int64(name).view(np.float64)

    def has(self, name: str) -> NDArray[np.bool_]:
        """Whether each has a field of `numbers`."""
        found: NDArray[np.bool_] = self._cells[:, _BITS] & (1 << self._columns[name]) != 0
        return found

    def whole(self) -> Spans:
        """The content of each message."""
        return Spans(self.parents, self._cells[:, _START].copy(), self._cells[:, _END].copy())

    def spans(self, name: str) -> Spans:
        """The content of a text, or a run as it lies in the body; empty where it is absent."""
        column = self._columns[name]
        starts, ends = self._cells[:, column].copy(), self._cells[:, column + 1].copy()
        return Spans(np.arange(len(self)), starts, ends)

    def pieces(self, name: str, body: bytes) -> tuple[bytes, Spans]:
        """The run of each, tags and lengths included; those that do not lie together are joined.

        What is joined lies behind the body, which is given too.
        """
        spans = self.spans(name)
        odd = np.flatnonzero(self.odd)
        if not len(odd):
            return body, spans
        whole = self.whole()
        apart = Spans(odd, whole.starts[odd], whole.ends[odd])
        joined, found = Fields(body, apart).runs(self._message.runs[name], body)
        spans.starts[odd], spans.ends[odd] = found.starts, found.ends
        return joined, spans


class Tables:
    """What was read of a body: a table for each kind of message."""

    def __init__(self, layout: "Layout", counts: Int64s, bases: Int64s, cells: Int64s) -> None:
        """Kind n has so many rows, which begin at its base in `cells`."""
        self._layout = layout
        self._counts = counts
        self._bases = bases
        self._cells = cells

    def __getitem__(self, message: Message) -> Table:
        """The table of a kind."""
        kind, width, columns = self._layout[message]
        base, count = int(self._bases[kind]), int(self._counts[kind])
        rows = self._cells[base : base + count * width].reshape(count, width)
        return Table(message, columns, rows)


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
        self._a_byte = np.zeros(len(messages))

    def read(self, body: bytes) -> Tables:
        """The tables of a body.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
        """
        rooms = (self._a_byte * len(body)).astype(np.int64) + _SPARE_ROWS
        tables, counts = self._walked(body, rooms)
        if (counts > rooms).any():  # more than the body before had: now it is known how many
            tables, counts = self._walked(body, counts)
        self._a_byte = counts / max(len(body), 1)
        return tables

    def _walked(self, body: bytes, rooms: Int64s) -> tuple[Tables, Int64s]:
        # numba takes a second and a hundred megabytes: only who reads such bodies pays for it
        from services.ingest.wire import tree_kernel

        sizes = (rooms + 1) * self._widths
        ends = np.cumsum(sizes)
        bases = ends - sizes
        counts, cells = np.zeros(len(rooms), np.int64), np.empty(int(ends[-1]), np.int64)
        verdict = tree_kernel.walk(  # type: ignore[no-untyped-call]
            np.frombuffer(body, np.uint8), self._actions, self._widths, bases, rooms, counts, cells
        )
        if verdict != tree_kernel.OK:
            raise InvalidInput(BROKEN, reason="BODY_BROKEN")
        if (counts > self._most).any():
            most = int(self._most[np.argmax(counts > self._most)])
            raise InvalidInput(_TOO_MANY.format(most=most), reason="TOO_MANY_FIELDS")
        return Tables(self._layout, counts, bases, cells), counts

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
            *((tag, ODD, 0) for tag in message.odd),
        ]
        for tag, action, about in uses:
            if row[tag]:
                raise ValueError(f"tag {tag} has two uses")
            row[tag] = action | about << 3
        return row


def _is_read(message: Message) -> bool:
    return bool(message.width > _FIRST or message.parts or message.odd)
