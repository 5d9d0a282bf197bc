"""Checkpoints of shards: counts and cursor move together or not at all."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from mesh.postgres import guard
from mesh.subscription import ShardLost
from services.topology.model.checkpoints import Changes, Checkpoint
from services.topology.store.ids import signed

if TYPE_CHECKING:
    from mesh.postgres import Pool

    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

_CLAIM: Final = """
INSERT INTO topology.shard (shard, epoch, holder) VALUES ($1, $2, $3)
ON CONFLICT (shard) DO UPDATE SET epoch = $2, holder = $3
WHERE shard.epoch <= $2
RETURNING cursor, second, final_before, pending
"""
_OPEN: Final = "SELECT minute, content FROM topology.minute WHERE shard = $1 AND NOT is_final"
_FENCE: Final = """
UPDATE topology.shard SET cursor = $4, second = $5, final_before = $6, pending = $7
WHERE shard = $1 AND epoch = $2 AND cursor = $3
"""
_PUT_MINUTES: Final = """
INSERT INTO topology.minute (shard, is_final, minute, content)
SELECT $1, $2, * FROM unnest($3::bigint[], $4::bytea[])
ON CONFLICT (minute, shard) DO UPDATE SET is_final = $2, content = excluded.content
"""
_ADD_LINES: Final = """
INSERT INTO topology.pattern_lines AS known (shard, pattern, severity, lines, first_ms, last_ms)
SELECT $1, * FROM unnest($2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[])
ON CONFLICT (pattern, shard) DO UPDATE SET
    severity = greatest(known.severity, excluded.severity),
    lines = known.lines + excluded.lines,
    first_ms = least(known.first_ms, excluded.first_ms),
    last_ms = greatest(known.last_ms, excluded.last_ms)
"""
_PUT_EXAMPLE: Final = """
INSERT INTO topology.example AS known (
    operation, exception, pattern, hour, slot, example_id, time_ms, service, name, type, message,
    frames, trace_id, span_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (operation, exception, pattern, hour, slot) DO UPDATE SET
    example_id = excluded.example_id, time_ms = excluded.time_ms, message = excluded.message,
    frames = excluded.frames, trace_id = excluded.trace_id, span_id = excluded.span_id
WHERE (excluded.time_ms, excluded.example_id) < (known.time_ms, known.example_id)
"""


class CheckpointStore:
    """The only writer of what is counted."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def claim(self, shard: int, epoch: int, holder: str) -> Checkpoint:
        """Takes the shard for `epoch` and returns where it stands; older holders are fenced off.

        Raises:
            ShardLost: A later epoch has it.
            Unavailable: The database does not answer.
        """
        with guard("claim_shard"):
            async with self._pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(_CLAIM, shard, epoch, holder)
                if row is None:
                    raise ShardLost(f"shard {shard} was taken by a later epoch than {epoch}")
                minutes = await connection.fetch(_OPEN, shard)
        return Checkpoint(
            shard=shard,
            epoch=epoch,
            open_minutes={each["minute"]: each["content"] for each in minutes},
            **row,
        )

    async def commit(self, changes: Changes) -> None:
        """Stores everything of `changes` in one transaction, or nothing.

        Raises:
            ShardLost: The shard is not at `from_cursor` of this epoch any more.
            Unavailable: The database does not answer; it MAY have been committed all the same.
        """
        with guard("commit_checkpoint"):
            async with self._pool.acquire() as connection, connection.transaction():
                await _move(connection, changes)
                for is_final, minutes in (
                    (True, changes.final_minutes),
                    (False, changes.open_minutes),
                ):
                    if minutes:
                        columns = (list(minutes), list(minutes.values()))
                        await connection.execute(_PUT_MINUTES, changes.shard, is_final, *columns)
                if changes.patterns:
                    await connection.execute(_ADD_LINES, changes.shard, *_lines(changes))
                if changes.examples:
                    await connection.executemany(_PUT_EXAMPLE, _examples(changes))


async def _move(connection: "Connection", changes: Changes) -> None:
    done = await connection.execute(
        _FENCE,
        changes.shard,
        changes.epoch,
        changes.from_cursor,
        changes.to_cursor,
        changes.second,
        changes.final_before,
        changes.pending,
    )
    if done != "UPDATE 1":
        message = f"shard {changes.shard} is not at {changes.from_cursor} of epoch {changes.epoch}"
        raise ShardLost(message)


def _lines(changes: Changes) -> Sequence[list[int]]:
    known = changes.patterns
    return (
        [signed(each) for each in known],
        [each.severity for each in known.values()],
        [each.lines for each in known.values()],
        [each.first_ms for each in known.values()],
        [each.last_ms for each in known.values()],
    )


def _examples(changes: Changes) -> list[tuple[Any, ...]]:
    """In the order of their keys, so that shards that write the same do not wait in a circle."""
    rows = [
        (
            signed(each.operation),
            each.exception,
            signed(each.pattern),
            each.hour,
            each.slot,
            each.example_id,
            each.time_ns // 1_000_000,
            each.service,
            each.name,
            each.type,
            each.message,
            list(each.frames),
            each.trace_id,
            each.span_id,
        )
        for each in changes.examples
    ]
    return sorted(rows, key=lambda row: row[:7])
