"""What spans and log records say of exceptions."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.events import Example, Names, hash32
from services.ingest.otlp.masking import frames, masked
from services.ingest.wire.fields import Spans
from services.ingest.wire.texts import Remembered, present

_NO_TYPE: Final = re.compile(r"[^A-Za-z0-9_.$:<>/\\-]")
"""What stands in no name of a type, in any language."""
_LONGEST: Final = 128
_READ_BYTES: Final = 4 * _LONGEST
_MESSAGE_BYTES: Final = 16 * 1024
_STACK_BYTES: Final = 256 * 1024
_MOST_TYPES: Final = 1 << 13
_TYPES_BYTES: Final = _MOST_TYPES * _READ_BYTES
_TYPED: Final = np.dtype([("id", "<u4"), ("name", object)])
UNTYPED: Final = "exception"


class ExceptionTypes:
    """Ids of the types of exceptions, by the bytes that name them. For one thread."""

    def __init__(self) -> None:
        """Knows none."""
        self._remembered = Remembered(_MOST_TYPES, _TYPED, _TYPES_BYTES)

    def ids(
        self, body: bytes, firsts: NDArray[np.int64], lasts: NDArray[np.int64], names: Names
    ) -> NDArray[np.uint32]:
        """The id of each type, which is noted among the names; many at once."""
        lasts = np.minimum(lasts, firsts + _READ_BYTES)
        ids = np.empty(len(firsts), np.uint32)
        for begin in range(0, len(firsts), _MOST_TYPES):
            part = slice(begin, begin + _MOST_TYPES)
            ids[part] = self._ids(body, Spans(firsts[part], firsts[part], lasts[part]), names)
        return ids

    def _ids(self, body: bytes, spans: Spans, names: Names) -> NDArray[np.uint32]:
        known, places = self._remembered.placed(body, spans, partial(_types, body, spans))
        for number, name in known[present(places)].tolist():
            names.exceptions[number] = name
        ids: NDArray[np.uint32] = known["id"][places]
        return ids


def example(
    row: "np.void", body: bytes, first: int, last: int, stack: int, stack_end: int
) -> Example:
    """One error, masked: the row of its record, and where its message and its stack trace lie."""
    trace_id, span_id = bytes(row["trace_id"]), bytes(row["span_id"])
    message = body[first : min(last, first + _MESSAGE_BYTES)]
    stacktrace = body[stack : min(stack_end, stack + _STACK_BYTES)]
    return Example(
        trace_id=trace_id if any(trace_id) else b"",
        span_id=span_id if any(span_id) else b"",
        time_ns=int(row["start_ns"]),
        operation=int(row["operation"]),
        pattern=int(row["parent"]),
        exception=int(row["peer"]),
        message=masked(message.decode(errors="replace")),
        frames=frames(stacktrace.decode(errors="replace")),
    )


def _types(body: bytes, spans: Spans, places: Sequence[int]) -> NDArray[np.void]:
    return np.array([_typed(spans.one(body, place)) for place in places], _TYPED)


def _typed(said: bytes) -> tuple[int, str]:
    name = _NO_TYPE.sub("", said.decode(errors="replace")[:_LONGEST]) or UNTYPED
    return hash32(name), name
