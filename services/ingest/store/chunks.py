"""Hourly chunks: what the log held, by series, so that reading a series is one probe."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mesh.postgres import guard
from services.ingest.model.points import Columns
from services.ingest.packing.chunks import packed
from services.ingest.store.chunk_rows import columns_of

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.ingest.store.transaction import Connection

_LOCK: Final = "SELECT compacted_offset FROM ingest.compaction FOR UPDATE SKIP LOCKED"
_ADVANCE: Final = "UPDATE ingest.compaction SET compacted_offset = $1"
_WINDOW: Final = """
SELECT max(log_offset) AS last, sum(sample_count)::bigint AS samples
FROM (SELECT log_offset, sample_count, sum(sample_count) OVER (ORDER BY log_offset) AS running
      FROM ingest.batch WHERE log_offset > $1 AND received_at <= $2) AS waiting
WHERE running - sample_count < $3
"""
_SHARD: Final = """
SELECT substr(series_ids, first + 1, size) AS series_ids,
       substr(timestamps_ms, first + 1, size) AS timestamps_ms,
       substr(sample_values, first + 1, size) AS sample_values
FROM ingest.batch,
     LATERAL (SELECT array_position(shards, $1::smallint) AS place) AS found,
     LATERAL (SELECT 8 * coalesce(row_ends[place - 1], 0) AS first) AS start,
     LATERAL (SELECT 8 * row_ends[place] - first AS size) AS length
WHERE log_offset > $2 AND log_offset <= $3 AND $1 = ANY(shards)
ORDER BY log_offset
"""
_STORED: Final = """
SELECT series_id, packed, timestamps_ms, sample_values FROM ingest.chunk
WHERE hour = $1 AND series_id = ANY($2)
"""
_STORE: Final = """
INSERT INTO ingest.chunk (hour, series_id, packed)
SELECT $1, * FROM unnest($2::bigint[], $3::bytea[])
ON CONFLICT (series_id, hour) DO UPDATE
SET packed = excluded.packed, timestamps_ms = NULL, sample_values = NULL
"""
_BEHIND: Final = """
SELECT head.last_offset - compaction.compacted_offset FROM ingest.head, ingest.compaction
"""
_SAMPLES_AT_ONCE: Final = 4_000_000
_SERIES_AT_ONCE: Final = 500
"""The driver decodes an answer in one go on the event loop."""


@dataclass(frozen=True, slots=True)
class CompactionStep:
    """One step: samples moved, and whether there may be more."""

    samples: int
    more: bool


class ChunkStore:
    """Writes chunks. One process at a time compacts; the others find the row locked."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each step."""
        self._pool = pool

    async def compact(self, until_ms: int, oldest_ms: int) -> CompactionStep:
        """Moves batches that were received up to `until_ms` into chunks, in one transaction.

        A late sample goes into its own hour; of equal times the one received last stays; what is
        older than `oldest_ms` is left out. Memory holds one shard of some million samples, and a
        chunk is rewritten once per step: large steps are cheap ones.
        """
        with guard("compact"):
            async with self._pool.acquire() as connection, connection.transaction():
                place = await connection.fetchval(_LOCK)
                if place is None:
                    return CompactionStep(0, more=False)
                until = datetime.fromtimestamp(until_ms / 1000, UTC)
                rows = await connection.fetch(_WINDOW, place, until, _SAMPLES_AT_ONCE)
                last, samples = rows[0]["last"], rows[0]["samples"]
                if last is None:
                    return CompactionStep(0, more=False)
                for shard in range(
                    await connection.fetchval("SELECT shard_count FROM ingest.head")
                ):
                    slices = await connection.fetch(_SHARD, shard, place, last)
                    await _store(connection, slices, oldest_ms)
                await connection.execute(_ADVANCE, last)
        return CompactionStep(samples, more=samples >= _SAMPLES_AT_ONCE)

    async def behind(self) -> int:
        """Positions of the log that are not in chunks."""
        with guard("compaction_behind"):
            return int(await self._pool.fetchval(_BEHIND) or 0)


async def _store(connection: "Connection", slices: Sequence[Any], oldest_ms: int) -> None:
    hours = await asyncio.to_thread(_hours, slices, oldest_ms)
    for day in sorted({hour // 24 for hour, _ in hours}):
        midnight = datetime.fromtimestamp(day * 86_400, UTC)
        await connection.execute("SELECT ingest.make_chunk_partition($1)", midnight.date())
    for hour, fresh in hours:
        moment = datetime.fromtimestamp(hour * 3600, UTC)
        ends = fresh.ends()
        firsts = np.concatenate([np.zeros(1, np.int64), ends])
        for start in range(0, len(ends), _SERIES_AT_ONCE):
            end = ends[min(start + _SERIES_AT_ONCE, len(ends)) - 1]
            await _store_some(connection, moment, fresh[firsts[start] : end])


async def _store_some(connection: "Connection", hour: datetime, fresh: Columns) -> None:
    """Adds rows of some series, in order, to their chunks of an hour."""
    series_ids = fresh.series_ids[fresh.ends() - 1].tolist()
    stored = await connection.fetch(_STORED, hour, series_ids)
    chunks = await asyncio.to_thread(_packed, stored, fresh)
    await connection.execute(_STORE, hour, series_ids, chunks)


def _packed(stored: Sequence[Any], fresh: Columns) -> list[bytes]:
    rows = Columns.joined([columns_of(stored), fresh]).in_order() if stored else fresh
    return packed(rows.timestamps_ms, rows.values, rows.ends())


def _hours(slices: Sequence[Any], oldest_ms: int) -> list[tuple[int, Columns]]:
    """Rows of the log by hour, in order within each."""
    rows = Columns.joined(
        [
            Columns(
                np.frombuffer(row["series_ids"], "<i8"),
                np.frombuffer(row["timestamps_ms"], "<i8"),
                np.frombuffer(row["sample_values"], "<f8"),
            )
            for row in slices
        ]
    )
    kept = rows[rows.timestamps_ms >= oldest_ms]
    return [(hour, part.in_order()) for hour, part in kept.by_hour()]
