"""Day partitions: made ahead of time, dropped by retention."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

import asyncpg

from mesh.errors import Conflict
from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

_PARTITIONS: Final = """
SELECT child.relname FROM pg_inherits
JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = ('ingest.' || $1)::regclass ORDER BY child.relname
"""
_UNREAD: Final = """
SELECT min(lease.acked_offset) FROM ingest.shard_lease AS lease
JOIN ingest.subscription ON subscription.name = lease.subscription
JOIN ingest.head ON true
WHERE subscription.topic = 1 AND (subscription.seen_at > now() - interval '1 day' OR EXISTS (
        SELECT 1 FROM ingest.consumer
        WHERE consumer.subscription = lease.subscription
          AND consumer.seen_at > now() - interval '1 day'))
  AND lease.acked_offset < head.shard_offsets[lease.shard + 1]
"""
_COMPACTED: Final = "SELECT compacted_offset FROM ingest.compaction"
_NAME: Final = re.compile(r"(?:batch|chunk)_(\d{8})")


class PartitionStore:
    """Partitions of the log (`batch`) and of the chunks (`chunk`), one per day, UTC."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def make(self, table: str, days: Sequence[date]) -> None:
        """Makes the partitions of these days, where they are missing.

        Raises:
            Conflict: The table was in use for too long; try again later.
        """
        made = await self.days(table)
        for day in days:
            if day not in made:
                await self._change(f"SELECT ingest.make_{table}_partition('{day}')")

    async def days(self, table: str) -> list[date]:
        """The days that have a partition, oldest first."""
        with guard("partitions"):
            rows = await self._pool.fetch(_PARTITIONS, table)
        names = (_NAME.fullmatch(row["relname"]) for row in rows)
        return [datetime.strptime(name[1], "%Y%m%d").date() for name in names if name]

    async def drop(self, table: str, day: date) -> None:
        """Drops one day.

        Raises:
            Conflict: The table was in use for too long; try again later.
        """
        await self._change(f"DROP TABLE IF EXISTS ingest.{table}_{day:%Y%m%d}")

    async def last_offset(self, day: date) -> int:
        """The highest position of a day of the log; 0 when it is empty."""
        with guard("last_offset"):
            found = await self._pool.fetchval(
                "SELECT max(log_offset) FROM ingest.batch WHERE received_day = $1", day
            )
        return int(found or 0)

    async def needed_after(self) -> int | None:
        """The lowest position acked by a subscription of the last day; None when all is read."""
        with guard("needed_after"):
            found = await self._pool.fetchval(_UNREAD)
        return None if found is None else int(found)

    async def compacted(self) -> int:
        """The position up to which the log is in chunks."""
        with guard("compacted"):
            return int(await self._pool.fetchval(_COMPACTED))

    async def _change(self, statement: str) -> None:
        """Gives up soon: whoever waits for a table makes all who come later wait behind."""
        with guard("change_partition"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '1s'")
                try:
                    await connection.execute(statement)
                except asyncpg.LockNotAvailableError as error:
                    raise Conflict("the table is in use: later") from error
