"""What goes over Redis, and how: one stream per shard, the fast road to subscribers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec

from mesh.redis import Entry, Read
from services.ingest.model import event_entry, log_entry
from services.ingest.model.event_entry import (
    EventSegment,
    decoded_examples,
    decoded_names,
    encoded_examples,
    encoded_names,
    events_of,
)
from services.ingest.model.samples import Segment, Stretch

S = TypeVar("S", bound=Stretch)

Head = tuple[int, int, int, Sequence[str]]
"""Position before, total, commit time, traceparents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Road(Generic[S]):
    """One kind of rows on its way.

    Attributes:
        name: Before the number of a shard it names a stream.
        pack: The fields of an entry beside its head.
        unpack: The segment of shard, position, head and fields.
        join: Consecutive segments of one shard as one.
    """

    name: str
    pack: Callable[[S], Mapping[bytes, bytes]]
    unpack: Callable[[int, int, Head, Mapping[bytes, bytes]], S]
    join: Callable[[Sequence[S]], S]

    def stream_key(self, shard: int) -> str:
        """The stream of a shard."""
        return f"{self.name}:{shard}"

    def encode(self, segment: S, head: Head, maxlen: int) -> Entry:
        """A segment as an entry; its id is the position, so appending twice changes nothing."""
        return Entry(
            key=self.stream_key(segment.shard),
            entry_id=f"{segment.offset}-0",
            fields={b"h": msgspec.msgpack.encode(head), **self.pack(segment)},
            maxlen=maxlen,
        )

    def decode(self, shard: int, read: Read) -> S:
        """The segment of an entry."""
        offset = int(read.entry_id.partition("-")[0])
        return self.unpack(shard, offset, msgspec.msgpack.decode(read.fields[b"h"]), read.fields)


def _samples(shard: int, offset: int, head: Head, fields: Mapping[bytes, bytes]) -> Segment:
    previous, total, commit_time_ms, traceparents = head
    return Segment(
        shard=shard,
        previous=previous,
        offset=offset,
        total=total,
        commit_time_ms=commit_time_ms,
        series_ids=fields[b"s"],
        timestamps_ms=fields[b"t"],
        values=fields[b"v"],
        traceparents=tuple(traceparents),
    )


def _events(shard: int, offset: int, head: Head, fields: Mapping[bytes, bytes]) -> EventSegment:
    previous, total, commit_time_ms, traceparents = head
    return EventSegment(
        shard=shard,
        previous=previous,
        offset=offset,
        total=total,
        commit_time_ms=commit_time_ms,
        events=events_of(fields[b"e"]),
        names=decoded_names(fields[b"n"]),
        examples=decoded_examples(fields[b"x"]),
        traceparents=tuple(traceparents),
    )


SAMPLES: Final = Road(
    name="samples",
    pack=lambda segment: {
        b"s": segment.series_ids,
        b"t": segment.timestamps_ms,
        b"v": segment.values,
    },
    unpack=_samples,
    join=log_entry.joined,
)
EVENTS: Final = Road(
    name="events",
    pack=lambda segment: {
        b"e": segment.events.tobytes(),
        b"n": encoded_names(segment.names),
        b"x": encoded_examples(segment.examples),
    },
    unpack=_events,
    join=event_entry.joined,
)
