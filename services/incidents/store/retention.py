"""Deletes by age; any replica may do it, several at once."""

from typing import TYPE_CHECKING, Final

from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

_LOCK: Final = "SELECT 1 FROM incidents.head FOR UPDATE"
# One that is part of another goes with that one: its log holds members of it.
_OLD: Final = """
SELECT incident_id FROM incidents.incident AS old
WHERE (state = 4 AND resolve_ms < $1) OR (state = 5 AND NOT EXISTS (
    SELECT 1 FROM incidents.incident AS target
    WHERE target.incident_id = convert_from(old.body, 'UTF8')::jsonb ->> 'merged_into'))
ORDER BY update_no LIMIT $2
"""
_OF_INCIDENT: Final = ("event", "member", "postmortem", "timer", "incident")
_BACKGROUND: Final = """
DELETE FROM incidents.member WHERE incident_id = '' AND start_ms < $1
"""
_BY_TIME: Final = (
    "DELETE FROM incidents.explanation WHERE at_ms < $1",
    "DELETE FROM incidents.rate WHERE at_ms < $1",
    "DELETE FROM incidents.silence WHERE (expire_ms > 0 AND expire_ms < $1) OR end_ms < $1",
)
_REQUESTS: Final = "DELETE FROM incidents.request WHERE made_at < now() - interval '1 day'"


class RetentionStore:
    """Each method is one short transaction."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool`."""
        self._pool = pool

    async def drop_incidents(self, resolved_before_ms: int, most: int) -> int:
        """Deletes incidents with all that belongs to them, oldest first; how many."""
        with guard("drop_incidents"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_LOCK)
                rows = await connection.fetch(_OLD, resolved_before_ms, most)
                ids = [row["incident_id"] for row in rows]
                for table in _OF_INCIDENT:
                    query = f"DELETE FROM incidents.{table} WHERE incident_id = ANY($1)"  # noqa: S608
                    await connection.execute(query, ids)
        return len(ids)

    async def drop_rest(self, before_ms: int) -> None:
        """Deletes requests of yesterday, and what else is older than `before_ms`."""
        with guard("drop_rest"):
            await self._pool.execute(_REQUESTS)
            await self._pool.execute(_BACKGROUND, before_ms)
            for query in _BY_TIME:
                await self._pool.execute(query, before_ms)
