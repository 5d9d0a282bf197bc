"""Appends to Redis what a crash or an outage left out, from the log, in order."""

import logging
from typing import Final, Generic, TypeVar

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.redis import Streams
from services.ingest.metrics import RELAYED
from services.ingest.model.samples import Heads, Stretch
from services.ingest.publisher import Publisher
from services.ingest.store.log_reader import LogReader
from services.ingest.store.newest_heads import NewestHeads

_EVERY_S: Final = 1.0
_SEGMENTS: Final = 256

S = TypeVar("S", bound=Stretch)

logger = logging.getLogger(__name__)


class Relay(Generic[S]):
    """Compares each stream with the heads of the log. Several relays do no harm to each other."""

    def __init__(
        self,
        heads: NewestHeads,
        log: LogReader[S],
        streams: Streams,
        publisher: Publisher[S],
        clock: Clock,
        *,
        stream_entries: int,
    ) -> None:
        """A stream that is far behind is filled with the last `stream_entries` positions only."""
        self._heads = heads
        self._log = log
        self._streams = streams
        self._publisher = publisher
        self._clock = clock
        self._stream_entries = stream_entries

    async def run(self) -> None:
        """Repairs for ever; a worker of the process."""
        before: Heads | None = None
        while True:
            try:
                now = await self._heads.now()
                if before is not None:
                    await self.repair(before)
                before = now
            except Unavailable as error:
                logger.info("nothing relayed", extra={"cause": error.message})
            await self._clock.sleep(_EVERY_S)

    async def repair(self, heads: Heads) -> int:
        """Brings every stream up to `heads`; how many entries were missing.

        The heads should be a moment old, or entries on their way are appended here instead.

        Raises:
            Unavailable: Redis or the database does not answer.
        """
        return sum([await self._repair(n, head) for n, head in enumerate(heads.offsets)])

    async def _repair(self, shard: int, head: int) -> int:
        key = self._publisher.road.stream_key(shard)
        last = int((await self._streams.last_id(key)).partition("-")[0])
        place = max(last, head - self._stream_entries)
        appended = 0
        while last < head and place < head:
            segments = await self._log.after(shard, place, head, _SEGMENTS)
            if not segments:
                break
            appended += await self._publisher.append(segments)
            place = segments[-1].offset
        RELAYED.inc(appended)
        return appended
