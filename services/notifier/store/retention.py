"""Deletes what is old, and gives up what waited too long; a batch at a time."""

from typing import TYPE_CHECKING, Final

from mesh.postgres import guard
from services.notifier.decisions.retry import RetryLimits
from services.notifier.routing.tree import Routing
from services.notifier.store.fallback import again, copies
from services.notifier.store.rows import COLUMNS, insert, notice_of

if TYPE_CHECKING:
    from mesh.postgres import Pool

_BATCH: Final = 500
_NOTICES: Final = f"""
DELETE FROM notifier.notice WHERE seq = ANY(ARRAY(
    SELECT seq FROM notifier.notice WHERE create_time < now() - $1 * interval '1 day'
      AND state NOT IN ('pending', 'sending', 'held')
    LIMIT {_BATCH} FOR UPDATE SKIP LOCKED))
"""  # noqa: S608
_INCIDENTS: Final = f"""
WITH old AS (DELETE FROM notifier.incident WHERE incident_id = ANY(ARRAY(
        SELECT incident_id FROM notifier.incident i WHERE is_over
          AND update_time < now() - $1 * interval '1 day'
          AND NOT EXISTS (SELECT FROM notifier.notice n WHERE n.incident_id = i.incident_id)
        LIMIT {_BATCH} FOR UPDATE SKIP LOCKED)) RETURNING incident_id)
DELETE FROM notifier.thread t USING old WHERE t.incident_id = old.incident_id
"""  # noqa: S608
_GIVE_UP: Final = f"""
UPDATE notifier.notice SET state = 'failed' WHERE seq = ANY(ARRAY(
    SELECT seq FROM notifier.notice WHERE state = 'pending' AND now() - ready_time
        > CASE severity WHEN 'critical' THEN $1::double precision ELSE $2 END * interval '1 s'
    LIMIT {_BATCH} FOR UPDATE SKIP LOCKED)) RETURNING {COLUMNS}
"""  # noqa: S608


class RetentionStore:
    """What may be forgotten or given up."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def forget(self, days: float) -> int:
        """Deletes a batch of notices that are over and `days` old; how many."""
        with guard("forget_notices"):
            done: str = await self._pool.execute(_NOTICES, days)
            await self._pool.execute(_INCIDENTS, days)
        return int(done.rpartition(" ")[2])

    async def give_up(self, retry_limits: RetryLimits, routing: Routing) -> int:
        """Gives up a batch that waits too long, also what was never tried; how many."""
        with guard("give_up_notices"):
            async with self._pool.acquire() as connection, connection.transaction():
                rows = await connection.fetch(
                    _GIVE_UP, retry_limits.critical_s, retry_limits.other_s
                )
                found = [again(notice_of(row)) for row in rows]
                await insert(connection, copies(routing, found))
        return len(rows)
