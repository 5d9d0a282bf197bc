"""Deletes what is old, a batch at a time so that nobody waits for it."""

from typing import TYPE_CHECKING

from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

_BATCH = 500
# The result frame stays as long as its explanation: a late stream gets at least that.
_FRAMES = """
WITH old AS (
    SELECT explanation_id FROM explainer.explanation
    WHERE frames_kept AND finish_time < now() - $1 * interval '1 day'
    LIMIT $2 FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM explainer.frame f USING old WHERE f.explanation_id = old.explanation_id
        AND f.sequence < (SELECT max(sequence) FROM explainer.frame l
            WHERE l.explanation_id = old.explanation_id)
)
UPDATE explainer.explanation e SET frames_kept = false FROM old
WHERE e.explanation_id = old.explanation_id RETURNING 1
"""
_EXPLANATIONS = """
WITH old AS (
    SELECT explanation_id FROM explainer.explanation
    WHERE finish_time < now() - $1 * interval '1 day' LIMIT $2 FOR UPDATE SKIP LOCKED
), feedback AS (
    DELETE FROM explainer.feedback f USING old WHERE f.explanation_id = old.explanation_id
)
DELETE FROM explainer.explanation e USING old WHERE e.explanation_id = old.explanation_id
RETURNING e.explanation_id, coalesce(e.cursor, 0) AS place
"""
_NOTE_DROPPED = """
INSERT INTO explainer.explanation_log AS log (dropped) VALUES ($1)
ON CONFLICT (singleton) DO UPDATE SET dropped = greatest(log.dropped, $1)
"""
_INCIDENTS = "DELETE FROM explainer.incident WHERE explanation_id = ANY($1::uuid[])"
_HAS_INCIDENTS = "SELECT to_regclass('explainer.incident') IS NOT NULL"
_CONTEXT = (
    "DELETE FROM explainer.change WHERE change_time < now() - $1 * interval '1 day'",
    "DELETE FROM explainer.outcome WHERE create_time < now() - $1 * interval '1 day'",
    "DELETE FROM explainer.like_group WHERE last_time < now() - $1 * interval '1 day'",
)


class RetentionStore:
    """What may be forgotten."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def forget_frames(self, days: float) -> int:
        """Deletes all but the result of a batch that ended `days` ago; how many explanations."""
        with guard("forget_frames"):
            return len(await self._pool.fetch(_FRAMES, days, _BATCH))

    async def forget_explanations(self, days: float) -> int:
        """Deletes a batch that ended `days` ago, with all that hangs on it; how many."""
        with guard("forget_explanations"):
            async with self._pool.acquire() as connection, connection.transaction():
                rows = await connection.fetch(_EXPLANATIONS, days, _BATCH)
                last = max((row["place"] for row in rows), default=0)
                await connection.execute(_NOTE_DROPPED, last)
                if rows and await connection.fetchval(_HAS_INCIDENTS):
                    gone = [row["explanation_id"] for row in rows]
                    await connection.execute(_INCIDENTS, gone)
        return len(rows)

    async def forget_context(self, days: float) -> None:
        """Deletes changes, outcomes and groups older than `days`."""
        with guard("forget_context"):
            for statement in _CONTEXT:
                await self._pool.execute(statement, days)
