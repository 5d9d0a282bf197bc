"""ExportLogsServiceRequest as rows of events: warnings and above one by one, all others as counts.

Source: opentelemetry-proto 1.x. Of a record only its text, severity, times, ids and exception are
read; a body that is no text is never looked into.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model import events as model
from services.ingest.model.events import Example, Names, Operation
from services.ingest.otlp.event_body import FUTURE_NS, EventBody, Origins, Records, refusals
from services.ingest.otlp.event_columns import Columns, counted
from services.ingest.otlp.examples import ExampleQuota
from services.ingest.otlp.exceptions import ExceptionTypes, example
from services.ingest.otlp.known import TABLE
from services.ingest.otlp.patterns import Patterns
from services.ingest.otlp.resources import UNREADABLE
from services.ingest.wire.fields import Spans

_REASONS: Final = (
    UNREADABLE,
    "a trace_id must have 16 bytes, or none",
    "a span_id must have 8 bytes, or none",
    "a record has no time",
    "a record is more than 5 minutes ahead: set the sender's clock",
)
_LETTERS: Final = {"t": 1, "d": 5, "i": 9, "n": 10, "w": 13, "e": 17, "c": 21, "f": 21, "a": 22}
"""Severities by the first letter of their names, for senders that give no number."""
_LEVELS: Final = np.array(
    [_LETTERS.get(chr(byte).lower(), 0) if byte < 128 else 0 for byte in range(256)], np.uint8
)


@dataclass(frozen=True, slots=True)
class _Found:
    """The columns of `event_kernels.read_records`: of each row, exception and count.

    Attributes:
        raised: How many exceptions are in `errors`.
    """

    rows: NDArray[np.uint64]
    about: NDArray[np.int64]
    errors: NDArray[np.int64]
    raised: int
    counts: NDArray[np.int64]
    rejected: int
    reasons: list[str]


class OtlpLogsReader:
    """Reads bodies; remembers patterns from body to body. For one thread."""

    def __init__(self, *, takes_examples: bool = True) -> None:
        """Begins knowing nothing."""
        self._columns = Columns()
        self._origins = Origins()
        self._patterns = Patterns(self._columns)
        self._examples = ExampleQuota(takes=takes_examples)
        self._types = ExceptionTypes()

    def read(self, body: bytes, now_ns: int) -> EventBody:
        """The rows of a body.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
        """
        records = self._origins.records(body, self._columns)
        found = _read(body, records, now_ns, self._columns)
        names = Names({}, {}, {}, {}, {})
        for origin in records.taken():
            names.instances[origin.instance_id] = origin.instance
            names.operations[origin.service_id] = Operation(origin.service, "")
        words = self._completed(body, records, found, names)
        rows = words.view(model.EVENT)[:, 0]
        return EventBody(
            rows=rows,
            names=names,
            examples=[
                self._example(rows[place], body, found.about[:, place].tolist())
                for place in self._examples.chosen(words)
            ],
            rejected=found.rejected,
            reasons=found.reasons,
        )

    def _completed(
        self, body: bytes, records: Records, found: _Found, names: Names
    ) -> NDArray[np.uint64]:
        """Rows with the ids of all that they say, and behind them the counts."""
        from services.ingest.wire.event_kernels import finish_records

        owners, numbers, firsts, lasts = found.about[:4]
        patterns, which = self._patterns.of(
            body,
            Spans(owners, firsts, lasts),
            numbers,
            lambda place: records.origin(int(owners[place])).service,
            names,
        )
        types_at, types_end = found.errors[1:, : found.raised]
        types, which_type = self._types.of(body, types_at, types_end, names)
        rows = np.empty((len(found.rows) + len(found.counts), 9), np.uint64)
        finish_records(  # type: ignore[no-untyped-call]
            found.rows,
            which,
            patterns,
            found.errors,
            which_type,
            types,
            found.counts,
            records.owners,
            rows,
        )
        return rows

    @staticmethod
    def _example(row: "np.void", body: bytes, about: list[int]) -> Example:
        _, _, first, last, _, _, *said, stack, end, is_unsaid = about
        if is_unsaid:
            first, last = said
        return example(row, body, first, last, stack, end)


def _read(body: bytes, records: Records, now_ns: int, columns: Columns) -> _Found:
    # numba takes a second and a hundred megabytes: only who reads such bodies pays for it
    from services.ingest.wire.event_kernels import read_records

    count, refused = len(records.rows), np.zeros(len(_REASONS) + 1, np.int64)
    rows, about = columns.rows("rows", count, 9, np.uint64), columns.rows("about", 11, count)
    errors, counts = columns.rows("errors", 3, count), columns.rows("counts", count, 5)
    good, lines, raised = counted(
        read_records(  # type: ignore[no-untyped-call]
            np.frombuffer(body, np.uint8),
            records.rows,
            records.owners,
            np.uint64(now_ns + FUTURE_NS),
            TABLE,
            _LEVELS,
            rows,
            refused,
            about,
            errors,
            counts,
            columns.column("slots", 1 << (2 * count).bit_length()),
        )
    )
    rejected, reasons = refusals(refused, _REASONS)
    return _Found(rows[:good], about[:, :good], errors, raised, counts[:lines], rejected, reasons)
