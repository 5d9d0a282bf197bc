"""Reading a log forward, one shard at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from mesh.postgres import guard
from services.ingest.model import event_entry
from services.ingest.model.event_entry import (
    EventSegment,
    decoded_examples,
    decoded_names,
    events_of,
)
from services.ingest.model.samples import Heads, Segment, Stretch

if TYPE_CHECKING:
    from mesh.postgres import Pool

S = TypeVar("S", bound=Stretch)

_AHEAD: Final = """
SELECT log_offset, received_at, traceparent, {others}
       previous[place] AS previous, totals[place] AS total, {columns}
FROM ingest.{table},
     LATERAL (SELECT array_position(shards, $1::smallint) AS place) AS found,
     LATERAL (SELECT coalesce(row_ends[place - 1], 0) AS first) AS start,
     LATERAL (SELECT row_ends[place] - first AS size) AS length
WHERE log_offset > $2 AND log_offset <= $3 AND $1 = ANY(shards)
ORDER BY log_offset LIMIT $4
"""
_BEGINS: Final = """
SELECT previous[place] AS previous,
       totals[place] - row_ends[place] + coalesce(row_ends[place - 1], 0) AS total
FROM ingest.{table}, LATERAL (SELECT array_position(shards, $1::smallint) AS place) AS found
WHERE log_offset > $2 AND $1 = ANY(shards)
ORDER BY log_offset LIMIT 1
"""
_AT_TIME: Final = "SELECT min(log_offset) FROM ingest.{table} WHERE received_at >= $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[S]):
    """The table of a log.

    Attributes:
        columns: Those that hold rows side by side, with the bytes of a row.
        others: Those that hold something of all rows.
        segment: Makes one out of what was read, for a shard.
    """

    name: str
    columns: tuple[tuple[str, int], ...]
    others: tuple[str, ...] = ()
    segment: Callable[[int, Any], S]

    def filled(self, query: str) -> str:
        """A query for this table."""
        parts = (
            f"substr({column}, {size} * first + 1, {size} * size) AS {column}"
            for column, size in self.columns
        )
        others = "".join(f"{column}, " for column in self.others)
        return query.format(table=self.name, columns=", ".join(parts), others=others)


class LogReader(Generic[S]):
    """The reading side of a log."""

    def __init__(self, pool: "Pool", table: Table[S]) -> None:
        """Uses `pool` for each question."""
        self._pool = pool
        self._segment = table.segment
        self._ahead, self._begin = table.filled(_AHEAD), table.filled(_BEGINS)
        self._at_time = table.filled(_AT_TIME)

    async def after(self, shard: int, place: int, up_to: int, limit: int) -> list[S]:
        """At most `limit` segments of a shard behind `place`, up to and with `up_to`.

        The first one may have a `previous` above `place`: then what was between is gone.
        """
        with guard("read_log"):
            rows = await self._pool.fetch(self._ahead, shard, place, up_to, limit)
        return [self._segment(shard, row) for row in rows]

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
            first = await self._pool.fetchval(self._at_time, moment)
        return heads.last_offset if first is None else first - 1

    async def _begins(self, shard: int, place: int) -> tuple[int, int] | None:
        with guard("log_begins"):
            row = await self._pool.fetchrow(self._begin, shard, place)
        return (row["previous"], row["total"]) if row else None


def _samples(shard: int, row: Any) -> Segment:
    return Segment(
        shard=shard,
        previous=row["previous"],
        offset=row["log_offset"],
        total=row["total"],
        commit_time_ms=_ms(row["received_at"]),
        series_ids=row["series_ids"],
        timestamps_ms=row["timestamps_ms"],
        values=row["sample_values"],
        traceparents=(row["traceparent"],) if row["traceparent"] else (),
    )


def _events(shard: int, row: Any) -> EventSegment:
    return event_entry.segment(
        shard=shard,
        previous=row["previous"],
        offset=row["log_offset"],
        total=row["total"],
        commit_time_ms=_ms(row["received_at"]),
        events=events_of(row["event_rows"]),
        names=decoded_names(row["names"]),
        examples=decoded_examples(row["examples"]),
        traceparent=row["traceparent"],
    )


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


SAMPLES: Final = Table(
    name="batch",
    columns=(("series_ids", 8), ("timestamps_ms", 8), ("sample_values", 8)),
    segment=_samples,
)
EVENTS: Final = Table(
    name="event_batch",
    columns=(("event_rows", 72),),
    others=("names", "examples"),
    segment=_events,
)
