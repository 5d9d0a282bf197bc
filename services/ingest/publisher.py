"""From the log to Redis: one stream per shard, the fast road to subscribers."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from opentelemetry.trace import SpanKind

from mesh.errors import Unavailable
from mesh.streams import Entry, Read, Streams
from mesh.telemetry import span
from services.ingest.metrics import LEFT_TO_RELAY
from services.ingest.model.log_entry import LogEntry, by_shard
from services.ingest.model.samples import Segment

_WAITING_GROUPS: Final = 64
_ROW_BYTES: Final = 24
_ENTRY_BYTES: Final = 200
_LEAST_ENTRIES: Final = 32
_WEIGHT: Final = 0.02

logger = logging.getLogger(__name__)


def stream_key(shard: int) -> str:
    """The stream of a shard."""
    return f"samples:{shard}"


def encode(segment: Segment, maxlen: int) -> Entry:
    """A segment as an entry; its id is the position, so appending twice changes nothing."""
    head = (segment.previous, segment.total, segment.commit_time_ms, segment.traceparents)
    return Entry(
        key=stream_key(segment.shard),
        entry_id=f"{segment.offset}-0",
        fields={
            b"h": msgspec.msgpack.encode(head),
            b"s": segment.series_ids,
            b"t": segment.timestamps_ms,
            b"v": segment.values,
        },
        maxlen=maxlen,
    )


def decode(shard: int, read: Read) -> Segment:
    """The segment of an entry."""
    fields: Mapping[bytes, bytes] = read.fields
    previous, total, commit_time_ms, traceparents = msgspec.msgpack.decode(fields[b"h"])
    return Segment(
        shard=shard,
        previous=previous,
        offset=int(read.entry_id.partition("-")[0]),
        total=total,
        commit_time_ms=commit_time_ms,
        series_ids=fields[b"s"],
        timestamps_ms=fields[b"t"],
        values=fields[b"v"],
        traceparents=tuple(traceparents),
    )


class Publisher:
    """Appends committed groups in order. What it cannot append the relay will find."""

    def __init__(self, streams: Streams, *, maxlen: int, stream_bytes: int) -> None:
        """Each stream keeps about `maxlen` entries or `stream_bytes`, whichever is less."""
        self._streams = streams
        self._maxlen = maxlen
        self._stream_bytes = stream_bytes
        self._entry_bytes: dict[int, float] = {}
        self._groups: asyncio.Queue[Sequence[LogEntry]] = asyncio.Queue(_WAITING_GROUPS)

    def offer(self, entries: Sequence[LogEntry]) -> None:
        """Takes a committed group; never waits, because the commit must not wait for Redis."""
        try:
            self._groups.put_nowait(entries)
        except asyncio.QueueFull:
            LEFT_TO_RELAY.inc(len(entries))

    async def run(self) -> None:
        """Appends for ever; a worker of the process."""
        while True:
            entries = await self._groups.get()
            segments = by_shard(entries)
            try:
                await self._append(entries, segments)
            except Unavailable:
                LEFT_TO_RELAY.inc(len(segments))

    async def append(self, segments: Sequence[Segment]) -> int:
        """Appends segments, ascending within each shard; how many were new.

        Raises:
            Unavailable: Some may have been appended; appending again does no harm.
        """
        return sum(await self._streams.append_many([encode(s, self._kept(s)) for s in segments]))

    def _kept(self, segment: Segment) -> int:
        """How many entries of about the usual size fit into the memory of a stream."""
        size = float(_ROW_BYTES * segment.rows + _ENTRY_BYTES)
        usual = self._entry_bytes.get(segment.shard, size)
        usual += _WEIGHT * (size - usual)
        self._entry_bytes[segment.shard] = usual
        return max(_LEAST_ENTRIES, min(self._maxlen, int(self._stream_bytes / usual)))

    async def _append(self, entries: Sequence[LogEntry], segments: Sequence[Segment]) -> None:
        parents = [entry.traceparent for entry in entries if entry.traceparent]
        if not parents:
            await self.append(segments)
            return
        with span(
            "append samples",
            kind=SpanKind.PRODUCER,
            parent=parents[0],
            links=parents[1:],
            attributes={"messaging.system": "redis", "messaging.batch.message_count": len(entries)},
        ):
            await self.append(segments)
