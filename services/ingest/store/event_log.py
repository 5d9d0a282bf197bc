"""Appending to the log of events: one transaction for a group of bodies. The commit point."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg

from mesh.postgres import guard
from services.ingest.model.event_entry import (
    EventEntry,
    EventWriter,
    encoded_examples,
    encoded_names,
)
from services.ingest.model.events import EventBatch
from services.ingest.model.samples import Heads
from services.ingest.store.transaction import committing

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.ingest.store.transaction import Connection

SLICE_S: Final = 600
"""One partition of the log holds so much; also in 0018_events.sql."""

_CREATE: Final = """
INSERT INTO ingest.event_head (shard_offsets, shard_totals)
SELECT array_fill(0::bigint, ARRAY[size]), array_fill(0::bigint, ARRAY[size])
FROM (VALUES ($1::integer)) AS asked (size)
ON CONFLICT DO NOTHING
"""
_HEADS: Final = "SELECT last_offset, shard_offsets, shard_totals FROM ingest.event_head"
_LOCK: Final = """
SELECT last_offset, last_commit_ms, shard_offsets, shard_totals FROM ingest.event_head FOR UPDATE
"""
_LAST_TICK: Final = "SELECT last_tick_ms FROM ingest.event_head"
_TICKED: Final = "UPDATE ingest.event_head SET last_tick_ms = $1"
_SEEN: Final = """
SELECT producer_id, sequence FROM ingest.event_batch
JOIN unnest($1::text[], $2::numeric[]) AS asked (producer_id, sequence)
USING (producer_id, sequence)
"""
_ADVANCE: Final = """
UPDATE ingest.event_head
SET last_offset = $1, last_commit_ms = $2, shard_offsets = $3, shard_totals = $4
"""
_COLUMNS: Final = (
    "slice",
    "log_offset",
    "received_at",
    "producer_id",
    "sequence",
    "shards",
    "row_ends",
    "previous",
    "totals",
    "event_rows",
    "names",
    "examples",
    "traceparent",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendedEvents:
    """A committed group: whether each body had come before, and the new entries in log order."""

    repeated: Sequence[bool]
    entries: Sequence[EventEntry]


class EventLog:
    """The writing side of the log of events."""

    def __init__(self, pool: "Pool", *, timeout_s: float) -> None:
        """`timeout_s` bounds a commit; then its connection is given up."""
        self._pool = pool
        self._timeout_s = timeout_s
        self._made: datetime | None = None
        """The begin of the newest partition that is committed."""

    async def prepare(self, shard_count: int) -> None:
        """Makes the head of the log at the first start of an installation."""
        with guard("prepare_events"):
            await self._pool.execute(_CREATE, shard_count)

    async def heads(self) -> Heads:
        """The newest committed positions."""
        with guard("event_heads"):
            row = (await self._pool.fetch(_HEADS))[0]
        return _heads(row)

    async def append(self, group: Sequence[EventBatch], now_ms: int) -> AppendedEvents:
        """Commits all bodies of `group` that are new.

        Raises:
            Unavailable: Nothing may be acknowledged. The commit may have happened all the same:
                the repeat of a body tells.
        """
        with guard("append_events"):
            async with committing(self._pool, self._timeout_s) as connection:
                head = await connection.fetchrow(_LOCK)
                # before the table is read: a partition needs a lock that no reader may hold
                writer = await self._writer(connection, head, now_ms)
                stored = await _stored(connection, group)
                repeated, entries = [], list[EventEntry]()
                for batch in group:
                    repeated.append(batch.identity in stored)
                    if batch.identity not in stored:
                        stored.add(batch.identity)
                        entries.append(writer.entry(batch))
                await _save(connection, writer, entries)
        self._made = slice_of(writer.received_at_ms)
        return AppendedEvents(repeated=repeated, entries=entries)

    async def tick(self, now_ms: int, every_ms: int) -> Sequence[EventEntry]:
        """Commits an entry without rows where none was for `every_ms`."""
        with guard("tick_events"):
            if now_ms - await self._pool.fetchval(_LAST_TICK) < every_ms:
                return ()
            async with committing(self._pool, self._timeout_s) as connection:
                head = await connection.fetchrow(_LOCK)
                if now_ms - await connection.fetchval(_LAST_TICK) < every_ms:
                    return ()
                writer = await self._writer(connection, head, now_ms)
                entries = [writer.tick()]
                await _save(connection, writer, entries)
                await connection.execute(_TICKED, now_ms)
        self._made = slice_of(writer.received_at_ms)
        return entries

    async def _writer(
        self, connection: "Connection", head: asyncpg.Record | None, now_ms: int
    ) -> EventWriter:
        if head is None:
            raise asyncpg.DataError("ingest.event_head is empty: was the service prepared?")
        now_ms = max(now_ms, head["last_commit_ms"])
        begins = slice_of(now_ms)
        if begins != self._made:
            await connection.execute("SELECT ingest.make_event_partition($1)", begins)
        return EventWriter(_heads(head), now_ms)


def slice_of(time_ms: int) -> datetime:
    """The begin of the partition of a time."""
    return datetime.fromtimestamp(time_ms // 1000 // SLICE_S * SLICE_S, UTC)


def next_slices(time_ms: int) -> list[datetime]:
    """The partitions of a time and of ten minutes later."""
    return [slice_of(time_ms), slice_of(time_ms) + timedelta(seconds=SLICE_S)]


async def _stored(connection: "Connection", group: Sequence[EventBatch]) -> set[tuple[str, int]]:
    rows = await connection.fetch(
        _SEEN, [each.producer_id for each in group], [each.sequence for each in group]
    )
    return {(row["producer_id"], int(row["sequence"])) for row in rows}


async def _save(
    connection: "Connection", writer: EventWriter, entries: Sequence[EventEntry]
) -> None:
    if not entries:
        return
    await connection.copy_records_to_table(
        "event_batch",
        schema_name="ingest",
        columns=_COLUMNS,
        records=[_record(entry) for entry in entries],
    )
    positions = writer.positions
    await connection.execute(
        _ADVANCE,
        positions.last_offset,
        writer.received_at_ms,
        positions.offsets,
        positions.totals,
    )


def _record(entry: EventEntry) -> tuple[object, ...]:
    placed = entry.placed
    return (
        slice_of(entry.received_at_ms),
        placed.offset,
        datetime.fromtimestamp(entry.received_at_ms / 1000, UTC),
        entry.producer_id,
        entry.sequence,
        placed.shards,
        placed.row_ends,
        placed.previous,
        placed.totals,
        entry.events.tobytes(),
        encoded_names(entry.names),
        encoded_examples(entry.examples),
        entry.traceparent,
    )


def _heads(row: asyncpg.Record) -> Heads:
    return Heads(
        last_offset=row["last_offset"], offsets=row["shard_offsets"], totals=row["shard_totals"]
    )
