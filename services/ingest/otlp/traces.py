"""ExportTraceServiceRequest as rows of events: no object is made of a span.

Source: opentelemetry-proto 1.x. Names, addresses and types of exceptions are read once and
remembered by their exact bytes; links, dropped counts and unknown attributes are skipped unread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model import events as model
from services.ingest.model.events import Names, Operation, hash32, hash64
from services.ingest.otlp import operations
from services.ingest.otlp.event_body import FUTURE_NS, EventBody, Origins, Records, refusals
from services.ingest.otlp.event_columns import (
    MOST_EVENTS,
    MOST_NAMES,
    NAMES_BYTES,
    Columns,
    counted,
)
from services.ingest.otlp.examples import ExampleQuota
from services.ingest.otlp.exceptions import ExceptionTypes, example
from services.ingest.otlp.known import NAMES, TABLE
from services.ingest.otlp.resources import UNREADABLE
from services.ingest.wire.fields import MOST_FIELDS, Spans
from services.ingest.wire.texts import Remembered

_REASONS: Final = (
    UNREADABLE,
    "a trace_id must have 16 bytes, not all of them 0",
    "a span_id must have 8 bytes, not all of them 0",
    "a parent_span_id must have 8 bytes, or none",
    "a span has no time",
    "a span is more than 5 minutes ahead: set the sender's clock",
)
_LEAST_ATTRIBUTE: Final = 8
"""Bytes of the smallest known attribute."""
_NUMBER: Final = -3
_READ_BYTES: Final = 1024
_NAMED: Final = np.dtype([("words", "<u8", 3), ("named", object)])
"""What `span_kernels.finish_spans` adds to a row, and what that stands for."""


@dataclass(frozen=True, slots=True, eq=False)
class _Named:
    """What a span is called and whom it calls."""

    operation_id: int
    operation: Operation
    address_id: int
    address: str


@dataclass(frozen=True, slots=True)
class _Spans:
    """The columns of `span_kernels.read_spans`, of the spans that were taken.

    Attributes:
        raised: How many exceptions are in `errors`.
    """

    rows: NDArray[np.uint64]
    about: NDArray[np.int64]
    said: NDArray[np.int32]
    errors: NDArray[np.int64]
    raised: int
    arena: NDArray[np.uint8]
    keys: Spans
    rejected: int
    reasons: Sequence[str]


class OtlpTracesReader:
    """Reads bodies; remembers names from body to body. For one thread."""

    def __init__(self, *, takes_examples: bool = True) -> None:
        """Begins knowing nothing."""
        self._origins = Origins()
        self._named = Remembered(MOST_NAMES, _NAMED, NAMES_BYTES)
        self._examples = ExampleQuota(takes=takes_examples)
        self._types = ExceptionTypes()
        self._columns = Columns()

    def read(self, body: bytes, now_ns: int) -> EventBody:
        """The rows of a body.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
        """
        records = self._origins.records(body, self._columns)
        found = _read(body, records, now_ns, self._columns)
        names = Names({}, {}, {origin.instance_id: origin.instance for origin in records.taken()})
        words = self._completed(body, records, found, names)
        rows, spans = words.view(model.EVENT)[:, 0], len(found.rows)
        return EventBody(
            rows=rows,
            names=names,
            examples=[
                example(rows[spans + place], body, *found.errors[4:, place].tolist())
                for place in self._examples.chosen(words[spans:])
            ],
            rejected=found.rejected,
            reasons=found.reasons,
        )

    def _completed(
        self, body: bytes, records: Records, found: _Spans, names: Names
    ) -> NDArray[np.uint64]:
        """Rows with the ids of all that they say, and behind them a row for each exception."""
        from services.ingest.wire.span_kernels import finish_spans

        named, which = self._named.different(
            found.arena, found.keys, partial(_all_named, body, records, found)
        )
        for each in named["named"].tolist():
            names.operations[each.operation_id] = each.operation
            if each.address_id:
                names.addresses[each.address_id] = each.address
        firsts, lasts = found.errors[2:4, : found.raised]
        types, which_type = self._types.of(body, firsts, lasts, names)
        rows = np.empty((len(which) + len(which_type), 9), np.uint64)
        finish_spans(  # type: ignore[no-untyped-call]
            found.rows, which, named["words"].copy(), found.errors, which_type, types, rows
        )
        return rows


def _read(body: bytes, records: Records, now_ns: int, columns: Columns) -> _Spans:
    # numba takes a second and a hundred megabytes: only who reads such bodies pays for it
    from services.ingest.wire.span_kernels import read_spans

    count, most = len(records.rows), min(MOST_FIELDS, len(body) // _LEAST_ATTRIBUTE + 1)
    rows, refused = columns.rows("rows", count, 9, np.uint64), np.zeros(len(_REASONS) + 1, np.int64)
    about, said = columns.rows("about", count, 5), columns.rows("said", most, 3, np.int32)
    errors = columns.rows("errors", 8, min(MOST_EVENTS, most))
    arena, keys = columns.column("arena", len(body), np.uint8), columns.rows("keys", 2, count)
    good, _, raised = counted(
        read_spans(  # type: ignore[no-untyped-call]
            np.frombuffer(body, np.uint8),
            records.rows,
            records.owners,
            np.uint64(now_ns + FUTURE_NS),
            TABLE,
            rows,
            refused,
            about,
            said,
            errors,
            arena,
            keys,
        )
    )
    rejected, reasons = refusals(refused, _REASONS)
    spans = Spans(keys[0, :good], keys[0, :good], keys[1, :good])
    return _Spans(rows[:good], about, said, errors, raised, arena, spans, rejected, reasons)


def _all_named(
    body: bytes, records: Records, found: _Spans, places: Sequence[int]
) -> NDArray[np.void]:
    return np.array([_named(body, records, found, place) for place in places], _NAMED)


def _named(
    body: bytes, records: Records, found: _Spans, place: int
) -> tuple[tuple[int, int, int], _Named]:
    owner, first, last, begin, end = found.about[place].tolist()
    origin = records.origin(owner)
    attributes = _attributes(body, found.said[begin:end])
    name = operations.operation_name(
        body[first : min(last, first + _READ_BYTES)].decode(errors="replace"), attributes
    )
    address = operations.address(int(found.rows[place, 8]) & 255, attributes)
    flags = model.DATABASE * operations.is_database(attributes)
    flags |= model.QUEUE * operations.is_queue(attributes)
    named = _Named(
        operation_id=hash64(origin.service, name),
        operation=Operation(origin.service, name),
        address_id=hash32(address) if address else 0,
        address=address,
    )
    return (named.operation_id, named.address_id << 32, flags << 32), named


def _attributes(body: bytes, said: NDArray[np.int32]) -> Mapping[str, str]:
    """Attributes as texts; of one that comes twice the last counts, an empty one is none."""
    found = dict[str, str]()
    for place, first, last in said.tolist():
        found.pop(NAMES[place], None)
        if last == _NUMBER:
            found[NAMES[place]] = str(first)
        elif last > first:
            text = body[first : min(last, first + _READ_BYTES)]
            found[NAMES[place]] = text.decode(errors="replace")
    return found
