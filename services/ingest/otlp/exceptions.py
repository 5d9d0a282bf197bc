"""What spans and log records say of exceptions."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.events import Example, Names, hash32
from services.ingest.model.samples import Int64s
from services.ingest.otlp.masking import frames, masked
from services.ingest.wire.fields import Spans
from services.ingest.wire.texts import Remembered

_NO_TYPE: Final = re.compile(r"[^A-Za-z0-9_.$:<>/\\-]")
"""What stands in no name of a type, in any language."""
_LONGEST: Final = 128
_READ_BYTES: Final = 4 * _LONGEST
_MESSAGE_BYTES: Final = 16 * 1024
_STACK_BYTES: Final = 256 * 1024
_MOST_TYPES: Final = 1 << 13
_TYPES_BYTES: Final = _MOST_TYPES * _READ_BYTES
_TYPED: Final = np.dtype([("id", "<u8"), ("name", object)])
_NO_IDS: Final = np.empty(0, np.uint64)
UNTYPED: Final = "exception"


class ExceptionTypes:
    """Ids of the types of exceptions, by the bytes that name them. For one thread."""

    def __init__(self) -> None:
        """Knows none."""
        self._remembered = Remembered(_MOST_TYPES, _TYPED, _TYPES_BYTES)

    def of(
        self, body: bytes, firsts: Int64s, lasts: Int64s, names: Names
    ) -> tuple[NDArray[np.uint64], Int64s]:
        """Ids of types, which are noted among the names, and which of them is that of each."""
        if not len(firsts):
            return _NO_IDS, firsts
        if len(firsts) > _MOST_TYPES:  # there is no room for so many different ones
            ids, which = self.of(body, firsts[:_MOST_TYPES], lasts[:_MOST_TYPES], names)
            more, others = self.of(body, firsts[_MOST_TYPES:], lasts[_MOST_TYPES:], names)
            return np.concatenate((ids, more)), np.concatenate((which, others + len(ids)))
        spans = Spans(firsts, firsts, np.minimum(lasts, firsts + _READ_BYTES))
        typed, which = self._remembered.different(body, spans, partial(_types, body, spans))
        names.exceptions.update(typed.tolist())
        return typed["id"].copy(), which


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
