"""Appending to the log: one transaction for a whole group of batches. The commit point."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import asyncpg
import numpy as np
from numpy.typing import NDArray

from mesh.postgres import guard
from services.ingest.model.batch import Batch, Outcome
from services.ingest.model.labels import SeriesKey
from services.ingest.model.log_entry import LogEntry, Writer
from services.ingest.model.samples import Heads, Int64s
from services.ingest.model.series_table import UNRESOLVED
from services.ingest.store.running_totals import RunningTotals
from services.ingest.store.series import registered
from services.ingest.store.series_room import SeriesRoom
from services.ingest.store.transaction import committing

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.ingest.store.transaction import Connection

P = ParamSpec("P")
R = TypeVar("R")

_SMALL_ROWS: Final = 4096
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

    def __init__(
        self, pool: "Pool", *, max_series: int, max_caller_series: int, timeout_s: float
    ) -> None:
        """`timeout_s` bounds a commit; then its connection is given up."""
        self._pool = pool
        self._max_series = max_series
        self._max_caller_series = max_caller_series
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
        rows = sum(len(batch.slots) for batch in group)
        missing = await _apart(rows, _missing, list(fresh.values()))
        known, made = await self._registered(connection, head, missing)
        writer = Writer(_heads(head), now_ms)
        totals = await RunningTotals.of(connection, _counted(fresh.values(), known))
        outcomes, entries = await _apart(rows, _written, group, stored, known, totals, writer)
        await totals.save(connection)
        if entries or made:
            await _copy(connection, entries, _day(now_ms))
            series_count = head["series_count"] + made
            await connection.execute(
                _ADVANCE,
                writer.positions.last_offset,
                series_count,
                writer.positions.offsets,
                writer.positions.totals,
            )
        return Appended(outcomes=outcomes, entries=entries, registered=known)

    async def _registered(
        self,
        connection: "Connection",
        head: asyncpg.Record,
        missing: Mapping[str, Mapping[bytes, SeriesKey]],
    ) -> tuple[dict[bytes, tuple[int, int]], int]:
        """Finds or makes the series that each caller needs; how many are new."""
        room = await SeriesRoom.of(
            connection,
            missing,
            left=self._max_series - head["series_count"],
            most=self._max_caller_series,
        )
        known: dict[bytes, tuple[int, int]] = {}
        for caller, keys in missing.items():
            found, made = await registered(connection, keys, room.left(caller), head["shard_count"])
            known |= found
            room.take(caller, made)
        await room.save(connection)
        return known, sum(room.made.values())

    async def _ensure_partition(self, connection: "Connection", day: date) -> None:
        if day not in self._days:
            await connection.execute("SELECT ingest.make_batch_partition($1)", day)


async def _apart(rows: int, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Calls `work`, which looks at so many rows: in a thread when it would hold the loop."""
    if rows > _SMALL_ROWS:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)


def _written(
    group: Sequence[Batch],
    stored: dict[tuple[str, int], int],
    known: dict[bytes, tuple[int, int]],
    totals: RunningTotals,
    writer: Writer,
) -> tuple[list[Outcome], list[LogEntry]]:
    outcomes: list[Outcome] = []
    entries: list[LogEntry] = []
    for batch in group:
        earlier = stored.get(batch.identity)
        if earlier is not None:
            outcomes.append(Outcome(accepted=earlier, duplicate=True))
            continue
        outcome, entry = _write(batch, known, totals, writer)
        outcomes.append(outcome)
        if entry is not None:
            stored[batch.identity] = outcome.accepted
            entries.append(entry)
    return outcomes, entries


def _write(
    batch: Batch, known: dict[bytes, tuple[int, int]], totals: RunningTotals, writer: Writer
) -> tuple[Outcome, LogEntry | None]:
    ids, shards = _resolved(batch, known)
    row_ids, values = ids[batch.slots], batch.values
    good = row_ids != UNRESOLVED
    over_limit = [] if good.all() else batch.rows[~good].tolist()
    late = list[int]()
    if batch.is_delta is not None:
        is_delta = batch.is_delta & good
        kept, values = totals.added(row_ids, batch.timestamps_ms, values, is_delta)
        good &= kept
        late = batch.rows[~kept].tolist()
    if not good.any():
        return Outcome(accepted=0, over_limit=over_limit, late=late), None
    columns = row_ids, shards[batch.slots], batch.timestamps_ms, values
    if not good.all():
        columns = row_ids[good], columns[1][good], columns[2][good], values[good]
    entry = writer.entry(batch.producer_id, batch.sequence, *columns, batch.traceparent)
    return Outcome(accepted=entry.sample_count, over_limit=over_limit, late=late), entry


def _resolved(
    batch: Batch, known: dict[bytes, tuple[int, int]]
) -> tuple[Int64s, NDArray[np.int16]]:
    ids, shards = batch.table.ids, batch.table.shards
    if waiting := batch.table.unresolved(batch.slots):
        ids, shards = ids.copy(), shards.copy()
        found = [known.get(batch.table.key(slot).digest, (UNRESOLVED, 0)) for slot in waiting]
        ids[waiting] = [series_id for series_id, _ in found]
        shards[waiting] = [shard for _, shard in found]
    return ids, shards


def _counted(batches: Iterable[Batch], known: dict[bytes, tuple[int, int]]) -> set[int]:
    """The series whose deltas are to be added up."""
    found: set[int] = set()
    for batch in batches:
        if batch.is_delta is not None:
            ids, _ = _resolved(batch, known)
            found.update(ids[batch.slots[batch.is_delta]].tolist())
    return found - {UNRESOLVED}


def _missing(batches: Iterable[Batch]) -> dict[str, dict[bytes, SeriesKey]]:
    """By caller, the series that nobody here knows the number of."""
    missing: dict[str, dict[bytes, SeriesKey]] = {}
    for batch in batches:
        for slot in batch.table.unresolved(batch.slots):
            key = batch.table.key(slot)
            missing.setdefault(batch.caller, {})[key.digest] = key
    return missing


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
