"""Which replicas are there: each holds a lock of its session, which ends with its process."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from uuid import UUID

from mesh.postgres import give_up, guard

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.notifier.store.rows import Connection

_SPACE: Final = 1_853_122_665
"""Of the locks, so that no other service's mean the same."""

_ENTER: Final = "SELECT pg_advisory_lock_shared($1::int, hashtext(($2::uuid)::text))"
_ABSENT: Final = """
SELECT owner FROM (
    SELECT owner FROM notifier.notice WHERE state = 'sending' AND next_attempt > now()
    UNION SELECT owner FROM notifier.cursor WHERE lease_until > now()) AS holder
WHERE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid::bigint = $1 AND objid::bigint = hashtext(owner::text)::bigint & 4294967295)
"""
_FREE_NOTICES: Final = """
UPDATE notifier.notice SET next_attempt = now()
WHERE state = 'sending' AND next_attempt > now() AND owner = ANY($1::uuid[])
"""
_FREE_CURSOR: Final = """
UPDATE notifier.cursor SET lease_until = now()
WHERE lease_until > now() AND owner = ANY($1::uuid[])
"""


class Presence:
    """Seen by all replicas at once, whatever their clocks say."""

    def __init__(self, pool: "Pool") -> None:
        """Keeps one connection of `pool` while it is held."""
        self._pool = pool

    @asynccontextmanager
    async def held(self, owner: UUID) -> AsyncIterator["PresenceLock"]:
        """`owner` is there, for the block or until the connection is lost."""
        with guard("enter_presence"):
            connection = await self._pool.acquire()
        try:
            with guard("enter_presence"):
                await connection.execute(_ENTER, _SPACE, owner)
            yield PresenceLock(connection)
        finally:
            give_up(connection)  # and the lock with it, also where the server is away
            await self._pool.release(connection)


class PresenceLock:
    """Asks over the connection that holds the lock: while it answers, the lock is held."""

    def __init__(self, connection: "Connection") -> None:
        """`connection` is used by nobody else."""
        self._connection = connection

    async def absent(self) -> set[UUID]:
        """Who holds notices or the log of incidents and is not there."""
        with guard("list_absent"):
            return {row["owner"] for row in await self._connection.fetch(_ABSENT, _SPACE)}

    async def free(self, owners: Collection[UUID]) -> None:
        """What these hold is anybody's."""
        with guard("free_claims"):
            async with self._connection.transaction():
                await self._connection.execute(_FREE_NOTICES, list(owners))
                await self._connection.execute(_FREE_CURSOR, list(owners))
