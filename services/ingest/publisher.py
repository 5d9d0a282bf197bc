"""From the log to Redis: one stream per shard, the fast road to subscribers."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from opentelemetry.trace import SpanKind

from mesh.errors import Unavailable
from mesh.redis import Entry, Streams
from mesh.telemetry import span
from services.ingest.metrics import LEFT_TO_RELAY
from services.ingest.model.log_entry import by_shard
from services.ingest.model.samples import Stretch
from services.ingest.roads import Road

S = TypeVar("S", bound=Stretch)
S_co = TypeVar("S_co", bound=Stretch, covariant=True)

_WAITING_GROUPS: Final = 64
_ENTRY_BYTES: Final = 200
_LEAST_ENTRIES: Final = 32
_WEIGHT: Final = 0.02

logger = logging.getLogger(__name__)


class CommittedEntry(Protocol[S_co]):
    """An entry of a log as it was committed."""

    @property
    def traceparent(self) -> str:
        """Of the request that brought it; empty for none."""

    def segments(self) -> Iterable[S_co]:
        """Its rows by shard."""


class Publisher(Generic[S]):
    """Appends committed groups in order. What it cannot append the relay will find."""

    def __init__(self, streams: Streams, road: Road[S], *, maxlen: int, stream_bytes: int) -> None:
        """Each stream keeps about `maxlen` entries or `stream_bytes`, whichever is less."""
        self._streams = streams
        self.road = road
        self._maxlen = maxlen
        self._stream_bytes = stream_bytes
        self._entry_bytes: dict[int, float] = {}
        self._groups: asyncio.Queue[Sequence[CommittedEntry[S]]] = asyncio.Queue(_WAITING_GROUPS)

    def offer(self, entries: Sequence[CommittedEntry[S]]) -> None:
        """Takes a committed group; never waits, because the commit must not wait for Redis."""
        try:
            self._groups.put_nowait(entries)
        except asyncio.QueueFull:
            LEFT_TO_RELAY.inc(len(entries))

    async def run(self) -> None:
        """Appends for ever; a worker of the process."""
        while True:
            entries = await self._groups.get()
            segments = by_shard(
                (segment for entry in entries for segment in entry.segments()), self.road.join
            )
            try:
                await self._append(entries, segments)
            except Unavailable:
                LEFT_TO_RELAY.inc(len(segments))

    async def append(self, segments: Sequence[S]) -> int:
        """Appends segments, ascending within each shard; how many were new.

        Raises:
            Unavailable: Some may have been appended; appending again does no harm.
        """
        return sum(await self._streams.append_many([self._entry(each) for each in segments]))

    def _entry(self, segment: S) -> Entry:
        head = (segment.previous, segment.total, segment.commit_time_ms, segment.traceparents)
        return self.road.encode(segment, head, self._kept(segment))

    def _kept(self, segment: S) -> int:
        """How many entries of about the usual size fit into the memory of a stream."""
        size = float(segment.size_bytes + _ENTRY_BYTES)
        usual = self._entry_bytes.get(segment.shard, size)
        usual += _WEIGHT * (size - usual)
        self._entry_bytes[segment.shard] = usual
        return max(_LEAST_ENTRIES, min(self._maxlen, int(self._stream_bytes / usual)))

    async def _append(self, entries: Sequence[CommittedEntry[S]], segments: Sequence[S]) -> None:
        parents = [entry.traceparent for entry in entries if entry.traceparent]
        if not parents:
            await self.append(segments)
            return
        with span(
            f"append {self.road.name}",
            kind=SpanKind.PRODUCER,
            parent=parents[0],
            links=parents[1:],
            attributes={"messaging.system": "redis", "messaging.batch.message_count": len(entries)},
        ):
            await self.append(segments)
