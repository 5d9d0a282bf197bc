"""Reading the log forward, one shard at a time."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from mesh.postgres import guard
from services.ingest.model.samples import Heads, Segment

if TYPE_CHECKING:
    from mesh.postgres import Pool

_AHEAD: Final = """
SELECT log_offset, received_at, traceparent,
       previous[place] AS previous, totals[place] AS total,
       substr(series_ids, first + 1, size) AS series_ids,
       substr(timestamps_ms, first + 1, size) AS timestamps_ms,
       substr(sample_values, first + 1, size) AS sample_values
FROM ingest.batch,
     LATERAL (SELECT array_position(shards, $1::smallint) AS place) AS found,
     LATERAL (SELECT 8 * coalesce(row_ends[place - 1], 0) AS first) AS start,
     LATERAL (SELECT 8 * row_ends[place] - first AS size) AS length
WHERE log_offset > $2 AND log_offset <= $3 AND $1 = ANY(shards)
ORDER BY log_offset LIMIT $4
"""
_BEGINS: Final = """
SELECT previous[place] AS previous,
       totals[place] - row_ends[place] + coalesce(row_ends[place - 1], 0) AS total
FROM ingest.batch, LATERAL (SELECT array_position(shards, $1::smallint) AS place) AS found
WHERE log_offset > $2 AND $1 = ANY(shards)
ORDER BY log_offset LIMIT 1
"""
_AT_TIME: Final = "SELECT min(log_offset) FROM ingest.batch WHERE received_at >= $1"


class LogReader:
    """The reading side of the log."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def after(self, shard: int, place: int, up_to: int, limit: int) -> list[Segment]:
        """At most `limit` segments of a shard behind `place`, up to and with `up_to`.

        The first one may have a `previous` above `place`: then what was between is gone.
        """
        with guard("read_log"):
            rows = await self._pool.fetch(_AHEAD, shard, place, up_to, limit)
        return [_segment(shard, row) for row in rows]

    async def begins(self, heads: Heads, place: int) -> list[tuple[int, int]]:
        """Per shard the position and total that lie just before its first batch after `place`."""
        ends = list(zip(heads.offsets, heads.totals, strict=True))
        return [
            (end[0] > place and await self._begins(shard, place)) or end
            for shard, end in enumerate(ends)
        ]

    async def place_at(self, heads: Heads, time_ms: int) -> int:
        """The position before what was committed at or after a time."""
        with guard("place_at"):
            moment = datetime.fromtimestamp(time_ms / 1000, UTC)
            first = await self._pool.fetchval(_AT_TIME, moment)
        return heads.last_offset if first is None else first - 1

    async def _begins(self, shard: int, place: int) -> tuple[int, int] | None:
        with guard("log_begins"):
            row = await self._pool.fetchrow(_BEGINS, shard, place)
        return (row["previous"], row["total"]) if row else None


def _segment(shard: int, row: Any) -> Segment:
    return Segment(
        shard=shard,
        previous=row["previous"],
        offset=row["log_offset"],
        total=row["total"],
        commit_time_ms=round(row["received_at"].timestamp() * 1000),
        series_ids=row["series_ids"],
        timestamps_ms=row["timestamps_ms"],
        values=row["sample_values"],
        traceparents=(row["traceparent"],) if row["traceparent"] else (),
    )
