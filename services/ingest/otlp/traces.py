"""ExportTraceServiceRequest as rows of events: no object is made of a span.

Source: opentelemetry-proto 1.x. Names, addresses and types of exceptions are read once and
remembered by their exact bytes; links, dropped counts and unknown attributes are skipped unread.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model import events as model
from services.ingest.model.events import Events, Example, Names, Operation, hash32, hash64
from services.ingest.otlp import event_attributes, operations
from services.ingest.otlp.event_attributes import (
    MOST_EVENTS,
    MOST_NAMES,
    MOST_RECORDS,
    NAMES_BYTES,
    Attributes,
)
from services.ingest.otlp.event_body import EventBody, Origins, Records, Refusals, time_refusals
from services.ingest.otlp.examples import ExampleQuota
from services.ingest.otlp.exceptions import Exceptions
from services.ingest.otlp.known import IN_KEY
from services.ingest.otlp.resources import UNREADABLE
from services.ingest.wire.fields import Spans
from services.ingest.wire.texts import Remembered

_NAME, _STATE = slice(3, 5), slice(5, 7)
_HAS_REMOTE: Final = np.uint64(0x100)
_IS_REMOTE: Final = np.uint64(0x200)
_KEPT_SHARE: Final = re.compile(rb"(?:^|[,;])ot=(?:[^,]*;)?th:([0-9a-f]{1,14})(?:[;,]|$)")
_THRESHOLD_DIGITS: Final = 14
_GRPC: Final = ("rpc.grpc.status_code", "rpc.response.status_code")
_HTTP: Final = ("http.response.status_code", "http.status_code")


_NAMED: Final = np.dtype(
    [("operation", "<u8"), ("peer", "<u4"), ("flags", "<u2"), ("named", object)]
)


@dataclass(frozen=True, slots=True, eq=False)
class _Named:
    """What a span is called and whom it calls."""

    operation_id: int
    operation: Operation
    address_id: int
    address: str


@dataclass(frozen=True, slots=True)
class _Spans:
    """The columns of `event_kernels.read_spans`."""

    ids: NDArray[np.uint8]
    texts: NDArray[np.int64]
    numbers: NDArray[np.uint64]
    attributes: Attributes
    events: NDArray[np.int64]
    event_attributes: NDArray[np.int64]


class OtlpTracesReader:
    """Reads bodies; remembers names from body to body. For one thread."""

    def __init__(self, *, takes_examples: bool = True) -> None:
        """Begins knowing nothing."""
        self._origins = Origins()
        self._named = Remembered(MOST_NAMES, _NAMED, NAMES_BYTES)
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
        named = self._names_of(body, records, found, good)
        rows = _rows(body, records, found, good, named)
        names = _names(records, good, named)
        exceptions = Exceptions.of(body, found.events, found.event_attributes)
        more, examples = self._exceptions(exceptions, rows, good, names)
        return EventBody(
            rows=np.concatenate([rows, more]) if len(more) else rows,
            names=names,
            examples=examples,
            rejected=int(refusals.bad.sum()),
            reasons=refusals.shown,
        )

    def _names_of(
        self, body: bytes, records: Records, found: _Spans, good: NDArray[np.intp]
    ) -> NDArray[np.void]:
        arena, spans = _keys(body, records, found, good)

        def read(places: Sequence[int]) -> NDArray[np.void]:
            made = [_named(body, records, found, int(good[place])) for place in places]
            return np.array(made, _NAMED)

        named: NDArray[np.void] = self._named.of(arena, spans, read)
        return named

    def _exceptions(
        self, found: Exceptions, rows: Events, good: NDArray[np.intp], names: Names
    ) -> tuple[Events, list[Example]]:
        """A row for each exception of a span that was taken."""
        places = np.full(int(found.spans.max(initial=-1)) + 1, -1, np.int64)
        inside = good[good < len(places)]
        places[inside] = np.arange(len(inside))
        kept = np.flatnonzero(places[found.spans] >= 0)
        owners = rows[places[found.spans[kept]]]
        made = owners.copy()
        made["parent"], made["status"], made["code"], made["thinning"] = 0, 0, 0, 0
        made["kind"], made["severity"], made["flags"] = model.RECORD, 17, model.SPAN_EXCEPTION
        made["start_ns"] = np.where(
            found.times_ns[kept] > 0, found.times_ns[kept], owners["end_ns"]
        )
        made["end_ns"] = made["start_ns"]
        made["peer"] = [found.named(int(event), names) for event in kept]
        return made, found.examples(self._examples, kept, made)


def _read(body: bytes, spans: Spans) -> _Spans:
    count = len(spans)
    ids, texts = np.zeros((count, 32), np.uint8), np.zeros((count, 7), np.int64)
    numbers = np.zeros((count, 5), np.uint64)
    attributes, of_events = event_attributes.room(body), event_attributes.room(body)
    events = np.zeros((MOST_EVENTS, 4), np.int64)
    own, happened, held = event_attributes.counted(
        lambda kernels: kernels.read_spans(
            np.frombuffer(body, np.uint8),
            np.ascontiguousarray(spans.starts),
            np.ascontiguousarray(spans.ends),
            ids,
            texts,
            numbers,
            attributes,
            events,
            of_events,
        )
    )
    known = Attributes.read(body, count, attributes[:own])
    return _Spans(ids, texts, numbers, known, events[:happened], of_events[:held])


def _refusals(found: _Spans, records: Records, now_ns: int) -> Refusals:
    sizes = found.texts
    refusals = Refusals(records.numbers < 0)
    if refusals.bad.any():
        refusals.reasons[UNREADABLE] = None
    no_trace = (sizes[:, 0] != 16) | ~found.ids[:, :16].any(axis=1)
    no_span = (sizes[:, 1] != 8) | ~found.ids[:, 16:24].any(axis=1)
    refusals.add(no_trace, "a trace_id must have 16 bytes, not all of them 0")
    refusals.add(no_span, "a span_id must have 8 bytes, not all of them 0")
    bad_parent = (sizes[:, 2] != 0) & (sizes[:, 2] != 8)
    refusals.add(bad_parent, "a parent_span_id must have 8 bytes, or none")
    times = np.where(found.numbers[:, 1] > 0, found.numbers[:, 1], found.numbers[:, 0])
    time_refusals(refusals, times, now_ns, "a span")
    return refusals


def _keys(
    body: bytes, records: Records, found: _Spans, good: NDArray[np.intp]
) -> tuple[bytes, Spans]:
    key_ends = np.zeros(len(good), np.int64)
    arena = np.empty(2 * len(body) + 64 * len(good) + 1024, np.uint8)
    event_attributes.counted(
        lambda kernels: kernels.span_keys(
            np.frombuffer(body, np.uint8),
            good.astype(np.int64),
            found.texts,
            found.numbers,
            records.numbers,
            found.attributes.firsts,
            found.attributes.lasts,
            IN_KEY,
            arena,
            key_ends,
        )
    )
    used = arena[: key_ends[-1] if len(good) else 0].tobytes()
    return used, Spans(np.arange(len(good)), np.append(0, key_ends[:-1])[: len(good)], key_ends)


def _named(body: bytes, records: Records, found: _Spans, span: int) -> tuple[int, int, int, _Named]:
    origin = records.origin(span)
    first, last = found.texts[span, _NAME].tolist()
    attributes = found.attributes.texts(span)
    name = operations.operation_name(
        body[first : min(last, first + 1024)].decode(errors="replace"), attributes
    )
    address = operations.address(int(found.numbers[span, 2]), attributes)
    flags = model.DATABASE * operations.is_database(attributes)
    flags |= model.QUEUE * operations.is_queue(attributes)
    named = _Named(
        operation_id=hash64(origin.service, name),
        operation=Operation(origin.service, name),
        address_id=hash32(address) if address else 0,
        address=address,
    )
    return named.operation_id, named.address_id, flags, named


def _rows(
    body: bytes,
    records: Records,
    found: _Spans,
    good: NDArray[np.intp],
    named: NDArray[np.void],
) -> Events:
    numbers = found.numbers[good]
    rows = model.empty(len(good))
    rows.view(np.uint8).reshape(-1, model.EVENT.itemsize)[:, :32] = found.ids[good]
    ends = np.where(numbers[:, 1] > 0, numbers[:, 1], numbers[:, 0])
    rows["end_ns"], rows["start_ns"] = ends, np.minimum(numbers[:, 0], ends)
    rows["operation"], rows["peer"] = named["operation"], named["peer"]
    instances = [0 if each is None else each.instance_id for each in records.origins]
    rows["instance"] = np.array([*instances, 0], np.uint32)[records.owners[good]]
    rows["kind"] = np.where(numbers[:, 2] <= 5, numbers[:, 2], 0)
    rows["status"] = np.where(numbers[:, 3] <= 2, numbers[:, 3], 0)
    rows["flags"] = named["flags"] | _remote(numbers[:, 4])
    _add_codes(rows, found.attributes, good)
    rows["thinning"] = _thinning(body, found.texts[good, _STATE])
    return rows


def _remote(flags: NDArray[np.uint64]) -> NDArray[np.uint16]:
    is_said, is_remote = (flags & _HAS_REMOTE) > 0, (flags & _IS_REMOTE) > 0
    said = np.where(is_remote, model.REMOTE_PARENT, 0)
    return np.where(is_said, said, model.PARENT_UNSAID).astype(np.uint16)


def _add_codes(rows: Events, attributes: Attributes, good: NDArray[np.intp]) -> None:
    is_rpc = attributes.has("rpc.grpc.status_code") | attributes.has("rpc.response.status_code")
    of_http, of_grpc = attributes.codes(*_HTTP), attributes.codes(*_GRPC)
    is_grpc = (is_rpc & (of_http == 0))[good]
    rows["code"] = np.where(is_grpc, of_grpc[good], of_http[good])
    rows["flags"] |= np.where(is_grpc, model.GRPC_CODE, 0).astype(np.uint16)


def _thinning(body: bytes, states: NDArray[np.int64]) -> NDArray[np.uint8]:
    """By how many eighths of a power of two each span stands for more than itself."""
    thinning = np.zeros(len(states), np.uint8)
    for place in np.flatnonzero(states[:, 1] - states[:, 0] >= 7).tolist():
        first, last = states[place].tolist()
        if said := _KEPT_SHARE.search(body[first : min(last, first + 512)]):
            dropped = int(said[1].ljust(_THRESHOLD_DIGITS, b"0"), 16) / 16**_THRESHOLD_DIGITS
            thinning[place] = min(255, round(-8 * np.log2(1 - dropped)))
    return thinning


def _names(records: Records, good: NDArray[np.intp], named: NDArray[np.void]) -> Names:
    names = Names()
    for each in dict.fromkeys(named["named"].tolist()):
        names.operations[each.operation_id] = each.operation
        if each.address_id:
            names.addresses[each.address_id] = each.address
    present: Any = np.unique(records.owners[good]).tolist()
    for place in present:
        origin = records.origins[place]
        if origin is not None:
            names.instances[origin.instance_id] = origin.instance
    return names
