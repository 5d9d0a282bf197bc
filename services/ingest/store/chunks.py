"""Hourly chunks: moving the log into them, and dropping what is too old."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mesh.postgres import guard
from services.ingest.merge import grouped, merged
from services.ingest.model import Float64s, Int64s

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.ingest.store.series import Connection

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_LOCK: Final = "SELECT compacted_offset FROM ingest.compaction FOR UPDATE SKIP LOCKED"
_ADVANCE: Final = "UPDATE ingest.compaction SET compacted_offset = $1"
_BATCHES: Final = """
SELECT log_offset, sample_count, series_ids, timestamps_ms, sample_values FROM ingest.batch
WHERE log_offset > $1 AND received_at <= $2 ORDER BY log_offset LIMIT $3
"""
_STORED: Final = """
SELECT series_id, timestamps_ms, sample_values FROM ingest.chunk
WHERE hour = $1 AND series_id = ANY($2)
"""
_STORE: Final = """
INSERT INTO ingest.chunk (hour, series_id, timestamps_ms, sample_values) VALUES ($1, $2, $3, $4)
ON CONFLICT (series_id, hour) DO UPDATE
SET timestamps_ms = excluded.timestamps_ms, sample_values = excluded.sample_values
"""
_BEHIND: Final = """
SELECT head.last_offset - compaction.compacted_offset FROM ingest.head, ingest.compaction
"""
_BATCHES_AT_ONCE: Final = 500
_SAMPLES_AT_ONCE: Final = 200_000
_SERIES_AT_ONCE: Final = 500

Points = tuple[Int64s, Float64s]


@dataclass(frozen=True, slots=True)
class Compacted:
    """One step: samples moved, and whether there may be more."""

    samples: int
    more: bool


class ChunkStore:
    """Writes chunks. One process at a time compacts; the others find the row locked."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each step."""
        self._pool = pool

    async def compact(self, until_ms: int, oldest_ms: int) -> Compacted:
        """Moves some batches that were received up to `until_ms` into chunks, in one transaction.

        A late sample goes into its own hour; of equal times the one received last stays; what is
        older than `oldest_ms` is left out.
        """
        with guard("compact"):
            async with self._pool.acquire() as connection, connection.transaction():
                place = await connection.fetchval(_LOCK)
                if place is None:
                    return Compacted(0, more=False)
                until = datetime.fromtimestamp(until_ms / 1000, UTC)
                rows = await connection.fetch(_BATCHES, place, until, _BATCHES_AT_ONCE)
                taken = _some(rows)
                if not taken:
                    return Compacted(0, more=False)
                moved = await _move(connection, taken, oldest_ms)
                await connection.execute(_ADVANCE, taken[-1]["log_offset"])
        return Compacted(moved, more=len(taken) < len(rows) or len(rows) == _BATCHES_AT_ONCE)

    async def behind(self) -> int:
        """Positions of the log that are not in chunks."""
        with guard("compaction_behind"):
            return int(await self._pool.fetchval(_BEHIND) or 0)


def _some(rows: Sequence[Any]) -> list[Any]:
    """At least one batch, and not many more samples than memory should hold at once."""
    taken: list[Any] = []
    samples = 0
    for row in rows:
        if taken and samples + row["sample_count"] > _SAMPLES_AT_ONCE:
            break
        taken.append(row)
        samples += row["sample_count"]
    return taken


async def _move(connection: "Connection", rows: Sequence[Any], oldest_ms: int) -> int:
    ids = np.concatenate([np.frombuffer(row["series_ids"], "<i8") for row in rows])
    times = np.concatenate([np.frombuffer(row["timestamps_ms"], "<i8") for row in rows])
    values = np.concatenate([np.frombuffer(row["sample_values"], "<f8") for row in rows])
    kept = times >= oldest_ms
    ids, times, values = ids[kept], times[kept], values[kept]
    for day in np.unique(times // _DAY_MS).tolist():
        midnight = datetime.fromtimestamp(day * 86_400, UTC)
        await connection.execute("SELECT ingest.make_chunk_partition($1)", midnight.date())
    for hour, in_hour in grouped(times // _HOUR_MS):
        by_series = {
            series_id: (times[in_hour][part], values[in_hour][part])
            for series_id, part in grouped(ids[in_hour])
        }
        await _store_hour(connection, datetime.fromtimestamp(hour * 3600, UTC), by_series)
    return len(ids)


async def _store_hour(
    connection: "Connection", hour: datetime, by_series: dict[int, Points]
) -> None:
    numbers = sorted(by_series)
    for start in range(0, len(numbers), _SERIES_AT_ONCE):
        some = numbers[start : start + _SERIES_AT_ONCE]
        stored = {
            row["series_id"]: (
                np.array(row["timestamps_ms"], np.int64),
                np.array(row["sample_values"], np.float64),
            )
            for row in await connection.fetch(_STORED, hour, some)
        }
        records = [(hour, n, *_lists(stored.get(n), by_series[n])) for n in some]
        await connection.executemany(_STORE, records)


def _lists(stored: Points | None, new: Points) -> tuple[list[int], list[float]]:
    times, values = new
    if stored is not None:
        times = np.concatenate([stored[0], times])
        values = np.concatenate([stored[1], values])
    times, values = merged(times, values)
    return times.tolist(), values.tolist()
