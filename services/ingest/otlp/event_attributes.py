"""The known attributes of many spans or records, as columns over the body."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mesh.errors import InvalidInput
from services.ingest.otlp.known import COUNT, KEY_ENDS, KEYS, PLACE, SLOTS
from services.ingest.wire.fields import MOST_FIELDS, Spans

Int32Rows = NDArray[np.int32]

MOST_RECORDS: Final = 10_000
"""Spans or log records of one body; Collectors send 8192."""
MOST_NAMES: Final = 1 << 15
NAMES_BYTES: Final = 24 * 1024 * 1024
"""Of names that are remembered, twice; more than one body has."""
MOST_EVENTS: Final = 50_000
"""Events of the spans of one body."""
_NAMES: Final = tuple(PLACE)
_NUMBER: Final = -3
_ABSENT: Final = -1
_BROKEN: Final = "the body is not the protobuf message that it should be"
_TOO_MANY: Final = (
    f"the body has more than {MOST_EVENTS} events of spans, or {MOST_FIELDS} attributes:"
    " send it in parts"
)


@dataclass(frozen=True, slots=True)
class Attributes:
    """Where the value of each known attribute lies, a row a message; see `event_kernels`."""

    body: bytes
    firsts: Int32Rows
    lasts: Int32Rows

    @classmethod
    def read(cls, body: bytes, count: int, places: NDArray[np.int64]) -> "Attributes":
        """Those of `count` messages; of each attribute its message, its begin and its end.

        Raises:
            InvalidInput: BODY_BROKEN.
        """
        firsts = np.zeros((count, COUNT), np.int32)
        lasts = np.full((count, COUNT), _ABSENT, np.int32)
        counted(
            lambda kernels: kernels.read_attributes(
                np.frombuffer(body, np.uint8), places, KEYS, KEY_ENDS, SLOTS, firsts, lasts
            )
        )
        return cls(body, firsts, lasts)

    def text(self, row: int, name: str) -> str:
        """An attribute as text; empty where it is absent or a number."""
        place = PLACE[name]
        first, last = int(self.firsts[row, place]), int(self.lasts[row, place])
        return self.body[first:last].decode(errors="replace") if last > first else ""

    def texts(self, row: int) -> dict[str, str]:
        """The attributes of a row that name something, as texts."""
        firsts, lasts = self.firsts[row].tolist(), self.lasts[row].tolist()
        found = {}
        for name, first, last in zip(_NAMES, firsts, lasts, strict=True):
            if last == _NUMBER:
                found[name] = str(first)
            elif last > first:
                found[name] = self.body[first : min(last, first + 1024)].decode(errors="replace")
        return found

    def has(self, name: str) -> NDArray[np.bool_]:
        """Whether each row has an attribute that is no empty text."""
        place = PLACE[name]
        lasts = self.lasts[:, place]
        present: NDArray[np.bool_] = (lasts == _NUMBER) | (lasts > self.firsts[:, place])
        return present

    def spans(self, name: str) -> Spans:
        """Where the text of each row lies; empty where there is none."""
        place = PLACE[name]
        starts, ends = self.firsts[:, place].astype(np.int64), self.lasts[:, place].astype(np.int64)
        is_text = ends > starts
        return Spans(
            np.arange(len(starts)), np.where(is_text, starts, 0), np.where(is_text, ends, 0)
        )

    def codes(self, *names: str) -> NDArray[np.uint16]:
        """The first of these attributes that is a number, or a text that is one; else 0."""
        codes = np.zeros(len(self.firsts), np.uint16)
        for name in reversed(names):
            place = PLACE[name]
            firsts, lasts = self.firsts[:, place], self.lasts[:, place]
            is_number = (lasts == _NUMBER) & (firsts >= 0) & (firsts < 1000)
            codes[is_number] = firsts[is_number]
            for row in np.flatnonzero((lasts > firsts) & (lasts - firsts <= 3)).tolist():
                text = self.body[firsts[row] : lasts[row]]
                if text.isdigit():
                    codes[row] = int(text)
        return codes


def room(body: bytes) -> NDArray[np.int64]:
    """Room for the places of all attributes that a body may have; touched as it is filled."""
    return np.empty((min(MOST_FIELDS, len(body) // 2 + 1), 3), np.int64)


def counted(call: Callable[..., tuple[int, ...]]) -> Sequence[int]:
    """What a kernel has counted.

    Raises:
        InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
    """
    # numba takes a second and a hundred megabytes: only who reads such bodies pays for it
    from services.ingest.wire import event_kernels

    verdict, *counts = call(event_kernels)
    if verdict == event_kernels.FULL:
        raise InvalidInput(_TOO_MANY, reason="TOO_MANY_FIELDS")
    if verdict != event_kernels.OK:
        raise InvalidInput(_BROKEN, reason="BODY_BROKEN")
    return counts
