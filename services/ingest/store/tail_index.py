"""Which batches of the log's uncompacted tail may hold a series, remembered by each process."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mesh.postgres import guard
from services.ingest.model.samples import Int64s
from services.ingest.model.signatures import SignedBatch, SignedRun, hashed, run_of, signature

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.ingest.store.transaction import Connection

_COMPACTED: Final = "SELECT compacted_offset FROM ingest.compaction"
_FITS_AFTER: Final = """
SELECT coalesce(max(log_offset) FILTER (WHERE newer > $2), $1)
FROM (SELECT log_offset, sum(sample_count) OVER (ORDER BY log_offset DESC) AS newer
      FROM ingest.batch WHERE log_offset > $1) AS tail
"""
_NEWER: Final = """
SELECT log_offset, min_time_ms, max_time_ms, series_ids FROM ingest.batch
WHERE log_offset > $1 ORDER BY log_offset
"""
_MAX_BYTES: Final = 64 * 1024 * 1024
"""33 million pairs of batch and series: 20 minutes of 400,000 series at 15 s."""
_BYTES_PER_PAIR: Final = 2
_ROWS_AT_ONCE: Final = 16
_RUN_BATCHES: Final = 1024
_APPENDED_AT_ONCE: Final = 256
_IN_THREAD: Final = 500_000
"""Pairs of batch and series that are compared on the event loop: some milliseconds."""


@dataclass(frozen=True, slots=True)
class Tail:
    """What was known at one moment; never changes.

    Attributes:
        compacted: Up to this position everything is in chunks.
        known_after: From `compacted` to here, if that is above it, nothing is known.
        last: The position up to which batches are known.
    """

    compacted: int
    known_after: int
    last: int
    runs: tuple[SignedRun, ...] = ()

    @property
    def size_bytes(self) -> int:
        """What the signatures take."""
        return sum(run.words.nbytes for run in self.runs)

    async def holding(self, series_ids: Int64s, start_ms: int, end_ms: int) -> list[int]:
        """Positions above `known_after`, ascending, whose batch may hold one of the series."""
        batches = sum(len(run.offsets) for run in self.runs)
        if batches * len(series_ids) <= _IN_THREAD:
            return self._holding(series_ids, start_ms, end_ms)
        return await asyncio.to_thread(self._holding, series_ids, start_ms, end_ms)

    def _holding(self, series_ids: Int64s, start_ms: int, end_ms: int) -> list[int]:
        wanted = hashed(series_ids)
        found: list[int] = []
        for run in self.runs:
            found += run.holding(wanted, self.compacted, start_ms, end_ms).tolist()
        return found

    def without(self, compacted: int) -> "Tail":
        """Without the runs that lie in chunks as a whole."""
        return Tail(
            compacted=compacted,
            known_after=self.known_after,
            last=max(self.last, compacted),
            runs=tuple(run for run in self.runs if run.offsets[-1] > compacted),
        )

    def with_batches(self, batches: list[SignedBatch], max_bytes: int) -> "Tail":
        """With the batches that follow; without the oldest runs when it grows too large."""
        if self.runs and len(self.runs[-1].offsets) < _RUN_BATCHES:
            runs = [*self.runs[:-1], run_of(batches, self.runs[-1])]
        else:
            runs = [*self.runs, run_of(batches)]
        known_after, size = self.known_after, sum(run.words.nbytes for run in runs)
        while size > max_bytes:
            oldest = runs.pop(0)
            known_after, size = int(oldest.offsets[-1]), size - oldest.words.nbytes
        return Tail(self.compacted, known_after, batches[-1].offset, tuple(runs))


class TailIndex:
    """Follows the log by position, whoever writes it, and forgets what is compacted.

    Made anew from the log by each process. Beyond `max_bytes` the oldest batches are not known.
    """

    def __init__(self, pool: "Pool", *, max_bytes: int = _MAX_BYTES) -> None:
        """Knows nothing before the first question."""
        self._pool = pool
        self._max_bytes = max_bytes
        self._lock = asyncio.Lock()
        self._begun = 0
        self._tail: Tail | None = None

    async def tail(self) -> Tail:
        """Everything that was committed before the call. Calls that wait share one reading.

        Raises:
            Unavailable: The database does not answer.
        """
        enough = self._begun + 1
        async with self._lock:
            if self._tail is None or self._begun < enough:
                self._begun += 1
                with guard("follow_tail"):
                    async with (
                        self._pool.acquire() as connection,
                        connection.transaction(readonly=True),
                    ):
                        self._tail = await self._followed(connection)
            return self._tail

    async def _followed(self, connection: "Connection") -> Tail:
        """Compaction is read first: what it moves later is still found in the log."""
        compacted = await connection.fetchval(_COMPACTED)
        tail = self._tail
        if tail is None:
            fits = self._max_bytes // _BYTES_PER_PAIR
            after = await connection.fetchval(_FITS_AFTER, compacted, fits)
            tail = Tail(compacted, known_after=after, last=after)
        tail = tail.without(compacted)
        batches: list[SignedBatch] = []
        async for row in connection.cursor(_NEWER, tail.last, prefetch=_ROWS_AT_ONCE):
            batches.append(_signed(row))
            await asyncio.sleep(0)
            if len(batches) == _APPENDED_AT_ONCE:
                tail = tail.with_batches(batches, self._max_bytes)
                batches = []
        return tail.with_batches(batches, self._max_bytes) if batches else tail


def _signed(row: Any) -> SignedBatch:
    return SignedBatch(
        offset=row["log_offset"],
        min_time_ms=row["min_time_ms"],
        max_time_ms=row["max_time_ms"],
        words=signature(np.frombuffer(row["series_ids"], "<i8")),
    )
