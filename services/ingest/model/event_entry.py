"""How events lie in their log. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from services.ingest.model.events import EVENT, EventBatch, Events, Example, Names, empty
from services.ingest.model.positions import EntryPosition, Positions
from services.ingest.model.samples import Heads

_EXAMPLES = msgspec.msgpack.Decoder(list[Example])
_NAMES = msgspec.msgpack.Decoder(Names)
_NAME_BYTES = 128
_EXAMPLE_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSegment:
    """Consecutive rows of one shard in log order, with all that their ids stand for."""

    shard: int
    previous: int
    offset: int
    total: int
    commit_time_ms: int
    events: Events
    names: Names
    examples: Sequence[Example] = ()
    traceparents: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.events)

    @property
    def size_bytes(self) -> int:
        """What a delivery of it costs."""
        beside = _NAME_BYTES * len(self.names) + _EXAMPLE_BYTES * len(self.examples)
        return EVENT.itemsize * len(self.events) + beside


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEntry:
    """One body as it is stored; without rows a tick of the log's clock."""

    placed: EntryPosition
    received_at_ms: int
    producer_id: str
    sequence: int
    events: Events
    names: Names
    examples: Sequence[Example]
    traceparent: str

    def segments(self) -> Iterable[EventSegment]:
        """The rows of each shard on their own."""
        start = 0
        for place, end in enumerate(self.placed.row_ends):
            yield segment(
                shard=self.placed.shards[place],
                previous=self.placed.previous[place],
                offset=self.placed.offset,
                total=self.placed.totals[place],
                commit_time_ms=self.received_at_ms,
                events=self.events[start:end],
                names=self.names,
                examples=self.examples,
                traceparent=self.traceparent,
            )
            start = end


class EventWriter:
    """Makes entries for a run of bodies, from the heads as they were locked."""

    def __init__(self, heads: Heads, received_at_ms: int) -> None:
        """Continues after `heads`."""
        self.received_at_ms = received_at_ms
        self.positions = Positions(heads)

    def entry(self, batch: EventBatch) -> EventEntry:
        """The next entry."""
        placed = self.positions.place(batch.shards)
        return EventEntry(
            placed=placed,
            received_at_ms=self.received_at_ms,
            producer_id=batch.producer_id,
            sequence=batch.sequence,
            events=batch.rows.take(placed.order),
            names=batch.names,
            examples=batch.examples,
            traceparent=batch.traceparent,
        )

    def tick(self) -> EventEntry:
        """An entry without rows, in every shard."""
        none = np.empty(0, np.int16)
        nothing = EventBatch(
            producer_id="",
            sequence=self.positions.last_offset + 1,
            rows=empty(0),
            shards=none,
            names=Names(),
            examples=(),
        )
        return self.entry(nothing)


def segment(
    *,
    shard: int,
    previous: int,
    offset: int,
    total: int,
    commit_time_ms: int,
    events: Events,
    names: Names,
    examples: Sequence[Example],
    traceparent: str,
) -> EventSegment:
    """A segment with those names and examples of its entry that belong to its rows."""
    return EventSegment(
        shard=shard,
        previous=previous,
        offset=offset,
        total=total,
        commit_time_ms=commit_time_ms,
        events=events,
        names=names.of(events),
        examples=_those(examples, events) if examples else (),
        traceparents=(traceparent,) if traceparent and len(events) else (),
    )


def joined(segments: Sequence[EventSegment]) -> EventSegment:
    """Consecutive segments of one shard as one."""
    first, last = segments[0], segments[-1]
    if first is last:
        return first
    names = Names({}, {}, {}, {}, {})
    for each in segments:
        names.add(each.names)
    return EventSegment(
        shard=last.shard,
        previous=first.previous,
        offset=last.offset,
        total=last.total,
        commit_time_ms=last.commit_time_ms,
        events=np.concatenate([each.events for each in segments]),
        names=names,
        examples=[example for each in segments for example in each.examples],
        traceparents=tuple(dict.fromkeys(t for each in segments for t in each.traceparents)),
    )


def encoded_names(names: Names) -> bytes:
    """For a store."""
    return msgspec.msgpack.encode(names)


def decoded_names(stored: bytes) -> Names:
    """As `encoded_names` made it."""
    return _NAMES.decode(stored)


def encoded_examples(examples: Sequence[Example]) -> bytes:
    """For a store."""
    return msgspec.msgpack.encode(examples)


def decoded_examples(stored: bytes) -> list[Example]:
    """As `encoded_examples` made it."""
    return _EXAMPLES.decode(stored)


def events_of(stored: bytes) -> Events:
    """Rows from their bytes."""
    return np.frombuffer(stored, EVENT)


def _those(examples: Sequence[Example], events: Events) -> list[Example]:
    """The examples of records among these rows."""
    ids = events["trace_id"].tobytes()
    traces = {ids[at : at + 16] for at in range(0, len(ids), 16)}
    untraced = set(events["operation"].tolist())
    return [
        each
        for each in examples
        if (each.trace_id in traces if each.trace_id else each.operation in untraced)
    ]
