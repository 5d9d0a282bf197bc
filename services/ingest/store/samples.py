"""Reading samples by series and time, from the log and from the chunks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mesh.postgres import guard
from services.ingest.model.samples import Float64s, Int64s

if TYPE_CHECKING:
    from mesh.postgres import Pool

_HOUR_MS: Final = 3_600_000
_LOG: Final = """
SELECT series_ids, timestamps_ms, sample_values FROM ingest.batch
WHERE log_offset > (SELECT compacted_offset FROM ingest.compaction)
  AND max_time_ms >= $1 AND min_time_ms < $2 AND shards && $3::smallint[]
ORDER BY log_offset
"""
_LOG_SHARDS: Final = """
SELECT substr(series_ids, first + 1, size) AS series_ids,
       substr(timestamps_ms, first + 1, size) AS timestamps_ms,
       substr(sample_values, first + 1, size) AS sample_values
FROM ingest.batch, unnest($3::smallint[]) AS wanted (shard),
     LATERAL (SELECT array_position(shards, shard) AS place) AS found,
     LATERAL (SELECT 8 * coalesce(row_ends[place - 1], 0) AS first) AS start,
     LATERAL (SELECT 8 * row_ends[place] - first AS size) AS length
WHERE log_offset > (SELECT compacted_offset FROM ingest.compaction)
  AND max_time_ms >= $1 AND min_time_ms < $2 AND shards @> ARRAY[shard]
ORDER BY log_offset
"""
_CHUNKS: Final = """
SELECT series_id, timestamps_ms, sample_values FROM ingest.chunk
WHERE series_id = ANY($1) AND hour >= $2 AND hour < $3
ORDER BY series_id, hour
"""
_ROWS_AT_ONCE: Final = 64
_FEW_SHARDS: Final = 3
"""Up to so many shards are cut out of each batch; above, whole batches are faster."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of several series; later rows win over earlier ones of the same time."""

    series_ids: Int64s
    timestamps_ms: Int64s
    values: Float64s


class SampleStore:
    """Reads samples."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def recent(
        self, series_ids: Sequence[int], shards: Sequence[int], start_ms: int, end_ms: int
    ) -> Columns:
        """Rows of the log that are not in chunks yet, in log order.

        Reads its shards of every batch of that time, so the cost grows with all series that share
        them, not with those asked.
        """
        question = _LOG_SHARDS if len(shards) <= _FEW_SHARDS else _LOG
        wanted = np.array(sorted(series_ids), np.int64)
        parts = [Columns(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
        with guard("recent_samples"):
            async with self._pool.acquire() as connection, connection.transaction(readonly=True):
                rows = connection.cursor(question, start_ms, end_ms, shards, prefetch=_ROWS_AT_ONCE)
                parts.extend(
                    [_selected(_columns(row), wanted, start_ms, end_ms) async for row in rows]
                )
        return _concatenated(parts)

    async def compacted(
        self, series_ids: Sequence[int], start_ms: int, end_ms: int
    ) -> dict[int, tuple[Int64s, Float64s]]:
        """Rows of the chunks by series, ascending in time."""
        first = datetime.fromtimestamp(start_ms // _HOUR_MS * 3600, UTC)
        end = datetime.fromtimestamp(-(-end_ms // _HOUR_MS) * 3600, UTC)
        with guard("compacted_samples"):
            rows = await self._pool.fetch(_CHUNKS, series_ids, first, end)
        found: dict[int, list[tuple[Int64s, Float64s]]] = {}
        for row in rows:
            times = np.array(row["timestamps_ms"], np.int64)
            values = np.array(row["sample_values"], np.float64)
            found.setdefault(row["series_id"], []).append((times, values))
        return {series_id: _joined(parts) for series_id, parts in found.items()}


def _columns(row: Any) -> Columns:
    return Columns(
        np.frombuffer(row["series_ids"], "<i8"),
        np.frombuffer(row["timestamps_ms"], "<i8"),
        np.frombuffer(row["sample_values"], "<f8"),
    )


def _selected(columns: Columns, wanted: Int64s, start_ms: int, end_ms: int) -> Columns:
    places = np.searchsorted(wanted, columns.series_ids)
    places[places == len(wanted)] = 0
    keep: NDArray[np.bool_] = wanted[places] == columns.series_ids
    keep &= (columns.timestamps_ms >= start_ms) & (columns.timestamps_ms < end_ms)
    return Columns(columns.series_ids[keep], columns.timestamps_ms[keep], columns.values[keep])


def _concatenated(parts: Sequence[Columns]) -> Columns:
    return Columns(
        np.concatenate([part.series_ids for part in parts]),
        np.concatenate([part.timestamps_ms for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


def _joined(parts: Sequence[tuple[Int64s, Float64s]]) -> tuple[Int64s, Float64s]:
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
