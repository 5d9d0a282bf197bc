"""Reading samples by series and time, from the log and from the chunks."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mesh.postgres import guard
from services.ingest.model.points import Columns, Points
from services.ingest.model.samples import Int64s
from services.ingest.store.chunk_rows import columns_of
from services.ingest.store.tail_index import Tail, TailIndex

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.ingest.store.transaction import Connection

_HOUR_MS: Final = 3_600_000
_UNKNOWN: Final = """
SELECT log_offset FROM ingest.batch
WHERE log_offset > $1 AND log_offset <= $2
  AND max_time_ms >= $3 AND min_time_ms < $4 AND shards && $5::smallint[]
ORDER BY log_offset
"""
_IDS: Final = """
SELECT log_offset, 0 AS first, series_ids FROM ingest.batch
WHERE log_offset = ANY($1) ORDER BY log_offset
"""
_IDS_OF_SHARDS: Final = """
SELECT log_offset, first, substr(series_ids, 8 * first + 1, 8 * size) AS series_ids
FROM unnest($1::bigint[], $2::smallint[]) AS wanted (log_offset, shard)
     JOIN ingest.batch USING (log_offset),
     LATERAL (SELECT array_position(shards, shard) AS place) AS found,
     LATERAL (SELECT coalesce(row_ends[place - 1], 0) AS first) AS start,
     LATERAL (SELECT row_ends[place] - first AS size) AS length
WHERE shards @> ARRAY[shard]
ORDER BY log_offset
"""
_ROWS: Final = """
SELECT log_offset, substr(timestamps_ms, 8 * first + 1, 8 * size) AS timestamps_ms,
       substr(sample_values, 8 * first + 1, 8 * size) AS sample_values
FROM unnest($1::bigint[], $2::integer[], $3::integer[]) AS wanted (log_offset, first, size)
     JOIN ingest.batch USING (log_offset)
ORDER BY log_offset
"""
_CHUNKS: Final = """
SELECT series_id, packed, timestamps_ms, sample_values FROM ingest.chunk
WHERE series_id = ANY($1) AND hour >= $2 AND hour < $3
"""
_ROWS_AT_ONCE: Final = 64
_FEW_SHARDS: Final = 3
"""Up to so many shards, in the mean, are cut out of a batch; above, whole batches are faster."""
_FEW_SERIES: Final = 100
"""Up to so many series are looked up shard by shard, so that of a batch little is read."""
_MANY_SERIES: Final = 1000
"""Above, most batches hold one of them, and looking them up costs more than it spares."""


class SampleStore:
    """Reads samples."""

    def __init__(self, pool: "Pool", index: TailIndex) -> None:
        """Uses `pool` for each question, and `index` to find batches of the log."""
        self._pool = pool
        self._index = index

    async def recent(
        self, by_shard: Mapping[int, Sequence[int]], start_ms: int, end_ms: int
    ) -> Columns:
        """Rows of the log that are not in chunks yet, in log order, of the series of each shard.

        Reads the batches that may hold one of the series: those that do and one in 250 of the
        others, where the index knows them. Of what it does not know, and for more than a
        thousand series, it looks at the series of every row of that time.
        """
        wanted = np.array(sorted(chain.from_iterable(by_shard.values())), np.int64)
        tail = await self._index.tail()
        shards_of: dict[int, list[int]] = {}
        known_after = tail.last
        if len(wanted) <= _MANY_SERIES:
            known_after = tail.known_after
            shards_of = await _places(tail, by_shard, wanted, start_ms, end_ms)
        with guard("recent_samples"):
            async with self._pool.acquire() as connection, connection.transaction(readonly=True):
                if known_after > tail.compacted:
                    between = (tail.compacted, known_after, start_ms, end_ms, list(by_shard))
                    unknown = await connection.fetch(_UNKNOWN, *between)
                    shards_of |= {row["log_offset"]: list(by_shard) for row in unknown}
                held = await _holding(connection, shards_of, wanted)
                parts = [part async for part in _read(connection, held)]
        rows = Columns.joined(parts)
        return rows[(rows.timestamps_ms >= start_ms) & (rows.timestamps_ms < end_ms)]

    async def compacted(
        self, series_ids: Sequence[int], start_ms: int, end_ms: int
    ) -> dict[int, Points]:
        """Rows of the chunks by series, ascending in time; those of the hours at both ends too."""
        first = datetime.fromtimestamp(start_ms // _HOUR_MS * 3600, UTC)
        end = datetime.fromtimestamp(-(-end_ms // _HOUR_MS) * 3600, UTC)
        with guard("compacted_samples"):
            stored = await self._pool.fetch(_CHUNKS, series_ids, first, end)
        return await asyncio.to_thread(_by_series, stored) if stored else {}


def _by_series(stored: Sequence[Any]) -> dict[int, Points]:
    rows = columns_of(stored).in_order()
    ends = rows.ends().tolist()
    return {
        int(rows.series_ids[start]): (rows.timestamps_ms[start:end], rows.values[start:end])
        for start, end in zip([0, *ends], ends, strict=False)
    }


@dataclass(slots=True)
class _MatchedRows:
    """The rows of one batch that were asked for, and their series."""

    rows: list[Int64s]
    series_ids: list[Int64s]


async def _places(
    tail: Tail, by_shard: Mapping[int, Sequence[int]], wanted: Int64s, start_ms: int, end_ms: int
) -> dict[int, list[int]]:
    """By batch that may hold some of the series, the shards in which they may be."""
    shards = list(by_shard)
    if len(wanted) > _FEW_SERIES:
        return dict.fromkeys(await tail.holding(wanted, start_ms, end_ms), shards)
    found: dict[int, list[int]] = {}
    for shard, series_ids in by_shard.items():
        ids = np.array(series_ids, np.int64)
        for offset in await tail.holding(ids, start_ms, end_ms):
            found.setdefault(offset, []).append(shard)
    return found


async def _holding(
    connection: "Connection", shards_of: Mapping[int, Sequence[int]], wanted: Int64s
) -> dict[int, _MatchedRows]:
    """By batch, the rows of `wanted` series in the given shards of each."""
    pairs = [(offset, shard) for offset, shards in shards_of.items() for shard in shards]
    if len(pairs) > _FEW_SHARDS * len(shards_of):
        cursor = connection.cursor(_IDS, list(shards_of), prefetch=_ROWS_AT_ONCE)
    else:
        offsets, shards = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        cursor = connection.cursor(_IDS_OF_SHARDS, offsets, shards, prefetch=_ROWS_AT_ONCE)
    held: dict[int, _MatchedRows] = {}
    async for row in cursor:
        ids = np.frombuffer(row["series_ids"], "<i8")
        places = np.searchsorted(wanted, ids)
        places[places == len(wanted)] = 0
        found = np.flatnonzero(wanted[places] == ids)
        if len(found):
            batch = held.setdefault(row["log_offset"], _MatchedRows([], []))
            batch.rows.append(found + row["first"])
            batch.series_ids.append(ids[found])
    return held


async def _read(
    connection: "Connection", held: Mapping[int, _MatchedRows]
) -> AsyncIterator[Columns]:
    """Their times and values, in log order."""
    firsts = [min(int(rows.min()) for rows in batch.rows) for batch in held.values()]
    ends = [max(int(rows.max()) for rows in batch.rows) + 1 for batch in held.values()]
    sizes = [end - first for first, end in zip(firsts, ends, strict=True)]
    first_of = dict(zip(held, firsts, strict=True))
    spans = (list(held), firsts, sizes)
    async for row in connection.cursor(_ROWS, *spans, prefetch=_ROWS_AT_ONCE):
        batch = held[row["log_offset"]]
        rows = np.concatenate(batch.rows) - first_of[row["log_offset"]]
        yield Columns(
            np.concatenate(batch.series_ids),
            np.frombuffer(row["timestamps_ms"], "<i8")[rows],
            np.frombuffer(row["sample_values"], "<f8")[rows],
        )
