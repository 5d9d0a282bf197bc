"""Appending to the log: one transaction for a whole group of batches. The commit point."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg

from mesh.postgres import guard
from services.ingest.model.batch import Batch, Outcome
from services.ingest.model.labels import SeriesKey
from services.ingest.model.log_entry import LogEntry, Writer
from services.ingest.model.samples import Heads
from services.ingest.model.series_table import UNRESOLVED
from services.ingest.store.series import registered
from services.ingest.store.transaction import committing

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.ingest.store.transaction import Connection

_LOCK: Final = """
SELECT shard_count, last_offset, series_count, shard_offsets, shard_totals
FROM ingest.head FOR UPDATE
"""
_SEEN: Final = """
SELECT producer_id, sequence, sample_count FROM ingest.batch
JOIN unnest($1::text[], $2::numeric[]) AS asked (producer_id, sequence)
USING (producer_id, sequence)
WHERE received_day >= $3
"""
_ADVANCE: Final = """
UPDATE ingest.head
SET last_offset = $1, series_count = $2, shard_offsets = $3, shard_totals = $4
"""
_LAST_SEQUENCE: Final = """
SELECT max(sequence) FROM ingest.batch WHERE producer_id = $1 AND received_day >= $2
"""
_COLUMNS: Final = (
    "received_day",
    "log_offset",
    "received_at",
    "producer_id",
    "sequence",
    "sample_count",
    "min_time_ms",
    "max_time_ms",
    "shards",
    "row_ends",
    "previous",
    "totals",
    "series_ids",
    "timestamps_ms",
    "sample_values",
    "traceparent",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """A committed group: outcomes in the order of the batches, entries in log order.

    Attributes:
        registered: Series looked up or made, digest to series_id and shard.
    """

    outcomes: Sequence[Outcome]
    entries: Sequence[LogEntry]
    registered: dict[bytes, tuple[int, int]]


class Log:
    """The writing side of the log."""

    def __init__(self, pool: "Pool", *, max_series: int, timeout_s: float) -> None:
        """`timeout_s` bounds a commit; then its connection is given up."""
        self._pool = pool
        self._max_series = max_series
        self._timeout_s = timeout_s
        self._days: set[date] = set()

    async def append(self, group: Sequence[Batch], now_ms: int) -> Appended:
        """Commits all batches of `group` that are new, and says of each what became of it.

        Raises:
            Unavailable: Nothing may be acknowledged. The commit may have happened all the same:
                the repeat of a batch tells.
        """
        with guard("append"):
            async with committing(self._pool, self._timeout_s) as connection:
                appended = await self._append(connection, group, now_ms)
        self._days.add(_day(now_ms))
        return appended

    async def last_sequence(self, producer_id: str, now_ms: int) -> int:
        """The highest committed sequence that is still remembered; 0 for none."""
        with guard("last_sequence"):
            found = await self._pool.fetchval(_LAST_SEQUENCE, producer_id, _remembered(now_ms))
        return int(found or 0)

    async def _append(
        self, connection: "Connection", group: Sequence[Batch], now_ms: int
    ) -> Appended:
        head = await connection.fetchrow(_LOCK)
        if head is None:
            raise asyncpg.DataError("ingest.head is empty: was the service prepared?")
        await self._ensure_partition(connection, _day(now_ms))
        stored = await _stored(connection, group, _remembered(now_ms))
        fresh = {b.identity: b for b in reversed(group) if b.identity not in stored}
        room = self._max_series - head["series_count"]
        known, made = await registered(
            connection, _missing(fresh.values()), room, head["shard_count"]
        )
        writer = Writer(_heads(head), now_ms)
        outcomes, entries = _written(group, stored, known, writer)
        if entries:
            await _copy(connection, entries, _day(now_ms))
            series_count = head["series_count"] + made
            await connection.execute(
                _ADVANCE, writer.last_offset, series_count, writer.offsets, writer.totals
            )
        return Appended(outcomes=outcomes, entries=entries, registered=known)

    async def _ensure_partition(self, connection: "Connection", day: date) -> None:
        if day not in self._days:
            await connection.execute("SELECT ingest.make_batch_partition($1)", day)


def _written(
    group: Sequence[Batch],
    stored: dict[tuple[str, int], int],
    known: dict[bytes, tuple[int, int]],
    writer: Writer,
) -> tuple[list[Outcome], list[LogEntry]]:
    outcomes: list[Outcome] = []
    entries: list[LogEntry] = []
    for batch in group:
        earlier = stored.get(batch.identity)
        if earlier is not None:
            outcomes.append(Outcome(accepted=earlier, duplicate=True))
            continue
        outcome, entry = _write(batch, known, writer)
        outcomes.append(outcome)
        if entry is not None:
            stored[batch.identity] = outcome.accepted
            entries.append(entry)
    return outcomes, entries


def _write(
    batch: Batch, known: dict[bytes, tuple[int, int]], writer: Writer
) -> tuple[Outcome, LogEntry | None]:
    ids, shards = batch.table.ids, batch.table.shards
    if waiting := batch.table.unresolved(batch.slots):
        ids, shards = ids.copy(), shards.copy()
        for slot in waiting:
            ids[slot], shards[slot] = known.get(batch.table.key(slot).digest, (UNRESOLVED, 0))
    row_ids = ids[batch.slots]
    good = row_ids != UNRESOLVED
    over_limit = batch.rows[~good].tolist()
    if len(over_limit) == len(row_ids):
        return Outcome(accepted=0, over_limit=over_limit), None
    entry = writer.entry(
        batch.producer_id,
        batch.sequence,
        row_ids[good],
        shards[batch.slots][good],
        batch.timestamps_ms[good],
        batch.values[good],
        batch.traceparent,
    )
    return Outcome(accepted=entry.sample_count, over_limit=over_limit), entry


def _missing(batches: Iterable[Batch]) -> dict[bytes, SeriesKey]:
    keys: dict[bytes, SeriesKey] = {}
    for batch in batches:
        for slot in batch.table.unresolved(batch.slots):
            key = batch.table.key(slot)
            keys[key.digest] = key
    return keys


async def _stored(
    connection: "Connection", group: Sequence[Batch], since: date
) -> dict[tuple[str, int], int]:
    rows = await connection.fetch(
        _SEEN, [b.producer_id for b in group], [b.sequence for b in group], since
    )
    return {(row["producer_id"], int(row["sequence"])): row["sample_count"] for row in rows}


async def _copy(connection: "Connection", entries: Sequence[LogEntry], day: date) -> None:
    await connection.copy_records_to_table(
        "batch",
        schema_name="ingest",
        columns=_COLUMNS,
        records=[_record(entry, day) for entry in entries],
    )


def _record(entry: LogEntry, day: date) -> tuple[object, ...]:
    return (
        day,
        entry.offset,
        datetime.fromtimestamp(entry.received_at_ms / 1000, UTC),
        entry.producer_id,
        entry.sequence,
        entry.sample_count,
        entry.min_time_ms,
        entry.max_time_ms,
        entry.shards,
        entry.row_ends,
        entry.previous,
        entry.totals,
        entry.series_ids,
        entry.timestamps_ms,
        entry.values,
        entry.traceparent,
    )


def _heads(row: asyncpg.Record) -> Heads:
    return Heads(
        last_offset=row["last_offset"], offsets=row["shard_offsets"], totals=row["shard_totals"]
    )


def _day(now_ms: int) -> date:
    return datetime.fromtimestamp(now_ms / 1000, UTC).date()


def _remembered(now_ms: int) -> date:
    """The first day whose sequences still count: any time of today is a full day after it."""
    return _day(now_ms) - timedelta(days=1)
