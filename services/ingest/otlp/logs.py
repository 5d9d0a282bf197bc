"""ExportLogsServiceRequest as rows of events: warnings and above one by one, all others as counts.

Source: opentelemetry-proto 1.x. Of a record only its text, severity, times, ids and exception are
read; a body that is no text is never looked into.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model import events as model
from services.ingest.model.events import Events, Example, Names, Operation
from services.ingest.otlp import event_attributes
from services.ingest.otlp.event_attributes import MOST_RECORDS, Attributes
from services.ingest.otlp.event_body import EventBody, Origins, Records, Refusals, time_refusals
from services.ingest.otlp.examples import ExampleQuota
from services.ingest.otlp.exceptions import example, exception_id
from services.ingest.otlp.patterns import Patterns
from services.ingest.otlp.resources import UNREADABLE
from services.ingest.wire.fields import Spans

_BODY, _LEVEL, _EVENT = slice(2, 4), slice(4, 6), slice(6, 8)
_WARNING: Final = 13
_ERROR: Final = 17
_MINUTE_NS: Final = np.uint64(60_000_000_000)
_LEVELS: Final = {"t": 1, "d": 5, "i": 9, "n": 10, "w": 13, "e": 17, "c": 21, "f": 21, "a": 22}
"""Severities by the first letter of their names, for senders that give no number."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The columns of `event_kernels.read_records`."""

    ids: NDArray[np.uint8]
    texts: NDArray[np.int64]
    attributes: Attributes
    times_ns: NDArray[np.uint64]
    severities: NDArray[np.uint8]


class OtlpLogsReader:
    """Reads bodies; remembers patterns from body to body. For one thread."""

    def __init__(self, *, takes_examples: bool = True) -> None:
        """Begins knowing nothing."""
        self._origins = Origins()
        self._patterns = Patterns()
        self._examples = ExampleQuota(takes=takes_examples)

    def read(self, body: bytes, now_ns: int) -> EventBody:
        """The rows of a body.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
        """
        records = self._origins.records(body, MOST_RECORDS)
        found = _read(body, records.spans)
        refusals = _refusals(found, records, now_ns)
        good = np.flatnonzero(~refusals.bad)
        raised = found.attributes.has("exception.type")
        is_single = (found.severities[good] >= _WARNING) | raised[good]
        singles = good[is_single]
        patterns = self._patterned(body, records, found, singles)
        rows, names = _rows(records, found, singles), _names(records, good, patterns)
        rows["parent"] = patterns["pattern"]
        for place in np.flatnonzero(raised[singles]).tolist():
            rows["peer"][place] = exception_id(found.attributes, int(singles[place]), names)
        examples = self._examples_of(body, found, singles, rows)
        return EventBody(
            rows=np.concatenate([rows, _counts(_rows(records, found, good[~is_single]))]),
            names=names,
            examples=examples,
            rejected=int(refusals.bad.sum()),
            reasons=refusals.shown,
        )

    def _patterned(
        self, body: bytes, records: Records, found: _Found, good: NDArray[np.intp]
    ) -> NDArray[np.void]:
        texts = found.texts[good, _BODY].copy()
        silent = texts[:, 0] == texts[:, 1]
        texts[silent] = found.texts[good, _EVENT][silent]
        spans = Spans(np.arange(len(good)), texts[:, 0], texts[:, 1])
        services = ["" if each is None else each.service for each in records.origins]
        owners: Any = records.owners[good].tolist()
        of_each = [services[owner] for owner in owners]
        return self._patterns.of(body, spans, records.numbers[good], of_each)

    def _examples_of(
        self,
        body: bytes,
        found: _Found,
        singles: NDArray[np.intp],
        rows: Events,
    ) -> list[Example]:
        is_error = rows["severity"] >= _ERROR
        errors, of_errors = singles[is_error], rows[is_error]
        examples = []
        for place in self._examples.chosen(of_errors):
            record = int(errors[place])
            message = found.attributes.text(record, "exception.message")
            first, last = found.texts[record, _BODY].tolist()
            line = body[first : min(last, first + 4096)].decode(errors="replace")
            examples.append(example(of_errors[place], line or message, found.attributes, record))
        return examples


def _read(body: bytes, spans: Spans) -> _Found:
    count = len(spans)
    ids, texts = np.zeros((count, 24), np.uint8), np.zeros((count, 8), np.int64)
    numbers = np.zeros((count, 3), np.uint64)
    attributes = event_attributes.room(body)
    (own,) = event_attributes.counted(
        lambda kernels: kernels.read_records(
            np.frombuffer(body, np.uint8),
            np.ascontiguousarray(spans.starts),
            np.ascontiguousarray(spans.ends),
            ids,
            texts,
            numbers,
            attributes,
        )
    )
    return _Found(
        ids=ids,
        texts=texts,
        attributes=Attributes.read(body, count, attributes[:own]),
        times_ns=np.where(numbers[:, 0] > 0, numbers[:, 0], numbers[:, 1]),
        severities=_severities(body, texts[:, _LEVEL], numbers[:, 2]),
    )


def _severities(
    body: bytes, texts: NDArray[np.int64], numbers: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    severities = np.where(numbers <= 24, numbers, 0).astype(np.uint8)
    unsaid = np.flatnonzero((severities == 0) & (texts[:, 1] > texts[:, 0]))
    for record in unsaid.tolist():
        letter = body[texts[record, 0] : texts[record, 0] + 1].decode(errors="replace").lower()
        severities[record] = _LEVELS.get(letter, 0)
    return severities


def _refusals(found: _Found, records: Records, now_ns: int) -> Refusals:
    sizes = found.texts
    refusals = Refusals(records.numbers < 0)
    if refusals.bad.any():
        refusals.reasons[UNREADABLE] = None
    refusals.add((sizes[:, 0] != 0) & (sizes[:, 0] != 16), "a trace_id must have 16 bytes, or none")
    refusals.add((sizes[:, 1] != 0) & (sizes[:, 1] != 8), "a span_id must have 8 bytes, or none")
    time_refusals(refusals, found.times_ns, now_ns, "a record")
    return refusals


def _rows(records: Records, found: _Found, good: NDArray[np.intp]) -> Events:
    rows = model.empty(len(good))
    rows.view(np.uint8).reshape(-1, model.EVENT.itemsize)[:, :24] = found.ids[good]
    rows["start_ns"] = rows["end_ns"] = found.times_ns[good]
    services = [0 if each is None else each.service_id for each in records.origins]
    instances = [0 if each is None else each.instance_id for each in records.origins]
    rows["operation"] = np.array([*services, 0], np.uint64)[records.owners[good]]
    rows["instance"] = np.array([*instances, 0], np.uint32)[records.owners[good]]
    rows["kind"] = model.RECORD
    rows["severity"] = found.severities[good]
    return rows


def _counts(rows: Events) -> Events:
    """One row for all lines of an instance, a severity and a minute."""
    minutes = rows["start_ns"] // _MINUTE_NS  # 27 bits until the year 2225
    keys = minutes << np.uint64(37) | rows["instance"].astype(np.uint64) << np.uint64(5)
    keys |= rows["severity"]
    _, firsts, counts = np.unique(keys, return_index=True, return_counts=True)
    made = rows[firsts]
    made["start_ns"], made["end_ns"] = minutes[firsts] * _MINUTE_NS, counts
    made["kind"] = model.LINES
    made["trace_id"], made["span_id"] = np.zeros((), "V16"), np.zeros((), "V8")
    return made


def _names(records: Records, good: NDArray[np.intp], patterns: NDArray[np.void]) -> Names:
    names = Names()
    for each in dict.fromkeys(patterns["place"].tolist()):
        names.patterns[each.pattern_id] = each.pattern
    present: Any = np.unique(records.owners[good]).tolist()
    for place in present:
        origin = records.origins[place]
        if origin is not None:
            names.instances[origin.instance_id] = origin.instance
            names.operations[origin.service_id] = Operation(origin.service, "")
    return names
