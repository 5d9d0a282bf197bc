"""What follows a place in a shard: from Redis when it has it, from the log when not."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Generic, TypeVar

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.redis import Streams
from services.ingest.metrics import READ_FROM_LOG
from services.ingest.model.samples import Stretch
from services.ingest.roads import Road
from services.ingest.store.log_reader import LogReader
from services.ingest.store.newest_heads import NewestHeads
from services.ingest.subscribe.frames import Gap

_WAIT_MS: Final = 250
_LOOK_EVERY_S: Final = 1.0
_LOG_SEGMENTS: Final = 256
_ROWS_AT_ONCE: Final = 10_000
_MOST_ENTRIES: Final = 512
_FIRST_ENTRIES: Final = 16

S = TypeVar("S", bound=Stretch)


class Source(Generic[S]):
    """Reads the shards of one stream. Correct without Redis, only slower.

    Each entry of Redis names the place before it. Where that is not the reader's place, the reader
    goes to the log, which is complete down to what retention dropped.
    """

    def __init__(
        self,
        streams: Streams,
        road: Road[S],
        log: LogReader[S],
        heads: NewestHeads,
        clock: Clock,
    ) -> None:
        """`heads` tells of news that Redis does not have."""
        self._streams = streams
        self._road = road
        self._log = log
        self._heads = heads
        self._clock = clock
        self._entries = _FIRST_ENTRIES
        self._looked_at_s = clock.monotonic_s()

    async def next(self, places: Mapping[int, int]) -> list[S | Gap]:
        """What follows these places, in order per shard; empty when nothing came for a moment.

        Raises:
            Unavailable: Neither Redis nor the log could be read.
        """
        read, is_fast = await self._from_redis(places)
        found: list[S | Gap] = []
        for shard, segments in read.items():
            found += await self._chained(shard, places[shard], segments)
        if not is_fast or self._clock.monotonic_s() - self._looked_at_s > _LOOK_EVERY_S:
            self._looked_at_s = self._clock.monotonic_s()
            found += await self._from_log({s: p for s, p in places.items() if s not in read})
        return found

    async def _from_redis(self, places: Mapping[int, int]) -> tuple[dict[int, list[S]], bool]:
        shards = {self._road.stream_key(shard): shard for shard in places}
        cursors = {self._road.stream_key(shard): f"{place}-0" for shard, place in places.items()}
        try:
            reads = await self._streams.read(cursors, _WAIT_MS, self._entries)
        except Unavailable:
            await asyncio.sleep(_WAIT_MS / 1000)
            return {}, False
        found: dict[int, list[S]] = {}
        for read in reads:
            shard = shards[read.key]
            found.setdefault(shard, []).append(self._road.decode(shard, read))
        self._adapt([segment for segments in found.values() for segment in segments])
        return found, True

    def _adapt(self, segments: Sequence[S]) -> None:
        """Asks for more entries when they are small, for fewer when they are large."""
        if segments:
            rows = max(1, sum(each.rows for each in segments) / len(segments))
            self._entries = max(1, min(_MOST_ENTRIES, int(_ROWS_AT_ONCE / rows)))

    async def _chained(self, shard: int, place: int, segments: Sequence[S]) -> list[S | Gap]:
        found: list[S | Gap] = []
        for segment in segments:
            if segment.previous != place:
                end = segment.previous if segment.previous > place else segment.offset
                missed, place = await self._missed(shard, place, end)
                found += missed
            if segment.previous == place:
                found.append(segment)
                place = segment.offset
            elif segment.offset > place:
                break
        return found

    async def _from_log(self, places: Mapping[int, int]) -> list[S | Gap]:
        heads = await self._heads.get()
        found: list[S | Gap] = []
        for shard, place in places.items():
            if heads.offsets[shard] > place:
                found += (await self._missed(shard, place, heads.offsets[shard]))[0]
        return found

    async def _missed(self, shard: int, place: int, end: int) -> tuple[list[S | Gap], int]:
        """Reads (place, end] from the log, or its beginning when that is long."""
        limit = min(_LOG_SEGMENTS, self._entries)
        segments = await self._log.after(shard, place, end, limit)
        READ_FROM_LOG.inc(len(segments))
        self._adapt(segments)
        found: list[S | Gap] = []
        resumes = segments[0].previous if segments else end
        if resumes > place:
            found.append(Gap(shard, place, resumes))
        found += segments
        return found, segments[-1].offset if segments else end
