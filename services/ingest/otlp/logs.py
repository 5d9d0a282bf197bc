"""ExportLogsServiceRequest as rows of events: warnings and above one by one, all others as counts.

Source: opentelemetry-proto 1.x. Of a record only its text, severity, times, ids and exception are
read; a body that is no text is never looked into.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model import events as model
from services.ingest.model.events import Events, Example, Names, Operation
from services.ingest.otlp.event_body import FUTURE_NS, EventBody, Origins, Records, refusals
from services.ingest.otlp.event_columns import Columns, counted
from services.ingest.otlp.examples import ExampleQuota
from services.ingest.otlp.exceptions import ExceptionTypes, example
from services.ingest.otlp.known import TABLE
from services.ingest.otlp.patterns import Patterns
from services.ingest.otlp.resources import UNREADABLE
from services.ingest.wire.fields import Spans

_ERROR: Final = 17
_MINUTE_NS: Final = np.uint64(60_000_000_000)
_UNSAID, _RAISED = 1, 2
"""Marks of a row of `about`: it has no text, it is an exception."""
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
    """The columns of `event_kernels.read_records`: of each row, and of each count."""

    rows: Events
    about: NDArray[np.int64]
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
        services = np.array(
            [0 if each is None else each.service_id for each in records.origins], np.uint64
        )
        if len(found.rows):
            self._complete(body, records, found, services, names)
        return EventBody(
            rows=model.joined(found.rows, _counts(records, found.counts, services)),
            names=names,
            examples=self._examples_of(body, found),
            rejected=found.rejected,
            reasons=found.reasons,
        )

    def _complete(
        self,
        body: bytes,
        records: Records,
        found: _Found,
        services: NDArray[np.uint64],
        names: Names,
    ) -> None:
        """The ids of each row, and what they stand for."""
        rows, about = found.rows, found.about
        owners = about[:, 0]
        numbers = records.owners[owners, 0]
        texts = Spans(owners, about[:, 1].copy(), about[:, 2].copy())
        rows["operation"] = services[owners]
        rows["parent"] = self._patterns.of(
            body, texts, numbers, lambda place: records.origin(int(owners[place])).service, names
        )
        raised = (about[:, 9] & _RAISED).nonzero()[0]
        if len(raised):
            ids = self._types.ids(body, about[raised, 3], about[raised, 4], names)
            rows["peer"][raised] = ids

    def _examples_of(self, body: bytes, found: _Found) -> list[Example]:
        errors = (found.rows["severity"] >= _ERROR).nonzero()[0]
        of_errors = found.rows.take(errors)  # rows[errors] takes 25 times as long
        examples = []
        for place in self._examples.chosen(of_errors):
            _, first, last, _, _, *said, stack, end, marks = found.about[errors[place]].tolist()
            if marks & _UNSAID:
                first, last = said
            examples.append(example(of_errors[place], body, first, last, stack, end))
        return examples


def _read(body: bytes, records: Records, now_ns: int, columns: Columns) -> _Found:
    # numba takes a second and a hundred megabytes: only who reads such bodies pays for it
    from services.ingest.wire.event_kernels import read_records

    count, refused = len(records.rows), np.zeros(len(_REASONS) + 1, np.int64)
    rows, about = np.empty((count, 9), np.uint64), columns.rows("about", count, 10)
    counts = columns.rows("counts", count, 5)
    good, counted_lines, _ = counted(
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
            counts,
            columns.column("slots", 1 << (2 * count).bit_length()),
        )
    )
    rejected, reasons = refusals(refused, _REASONS)
    events = rows.view(model.EVENT)[:good, 0]
    return _Found(events, about[:good], counts[:counted_lines], rejected, reasons)


def _counts(records: Records, counts: NDArray[np.int64], services: NDArray[np.uint64]) -> Events:
    """One row for all lines of an instance, a severity and a minute."""
    made = model.empty(len(counts))
    if len(made):
        owners = counts[:, 3]
        made["start_ns"] = counts[:, 0].view(np.uint64) * _MINUTE_NS
        made["end_ns"], made["kind"] = counts[:, 4], model.LINES
        made["operation"], made["severity"] = services[owners], counts[:, 2]
        made["instance"] = records.owners[owners, 1]
    return made
