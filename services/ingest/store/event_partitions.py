"""Partitions of the log of events, ten minutes each: made ahead of time, dropped by retention."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import asyncpg

from mesh.errors import Conflict
from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

_PARTITIONS: Final = """
SELECT child.relname FROM pg_inherits
JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = 'ingest.event_batch'::regclass ORDER BY child.relname
"""
_NAME: Final = re.compile(r"event_batch_(\d{12})")


class EventPartitionStore:
    """Partitions by the time at which they begin, UTC."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def begins(self) -> list[datetime]:
        """Of those that there are, oldest first."""
        with guard("event_partitions"):
            rows = await self._pool.fetch(_PARTITIONS)
        names = (_NAME.fullmatch(row["relname"]) for row in rows)
        return [datetime.strptime(f"{name[1]}Z", "%Y%m%d%H%M%z") for name in names if name]

    async def make(self, slices: Sequence[datetime]) -> None:
        """Makes those that are missing.

        Raises:
            Conflict: The table was in use for too long; try again later.
        """
        made = await self.begins()
        for begins in slices:
            if begins not in made:
                await self._change(f"SELECT ingest.make_event_partition('{begins.isoformat()}')")

    async def drop(self, begins: datetime) -> None:
        """Drops one.

        Raises:
            Conflict: The table was in use for too long; try again later.
        """
        name = f"event_batch_{begins.astimezone(UTC):%Y%m%d%H%M}"
        await self._change(f"DROP TABLE IF EXISTS ingest.{name}")

    async def _change(self, statement: str) -> None:
        """Gives up soon: whoever waits for a table makes all who come later wait behind."""
        with guard("change_event_partition"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '1s'")
                try:
                    await connection.execute(statement)
                except asyncpg.LockNotAvailableError as error:
                    raise Conflict("the table is in use: later") from error
