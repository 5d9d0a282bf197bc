"""Forgetting: anomalies, feedback, finished trainings and versions that are older than is kept."""

from datetime import datetime
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

AT_ONCE: Final = 5000

_DROP_ANOMALIES: Final = """
WITH gone AS (DELETE FROM detector.anomaly WHERE cursor = ANY(ARRAY(
        SELECT cursor FROM detector.anomaly WHERE commit_time < $1 ORDER BY cursor LIMIT $2))
    RETURNING cursor),
noted AS (INSERT INTO detector.anomaly_log AS log (dropped)
    SELECT max(cursor) FROM gone HAVING count(*) > 0
    ON CONFLICT (singleton) DO UPDATE SET dropped = greatest(log.dropped, excluded.dropped))
SELECT count(*) FROM gone
"""
_DROP_FEEDBACK: Final = """
DELETE FROM detector.feedback WHERE anomaly_id = ANY(ARRAY(
    SELECT anomaly_id FROM detector.feedback WHERE created_at < $1 LIMIT $2))
"""
_DROP_TRAININGS: Final = """
DELETE FROM detector.training WHERE request_id = ANY(ARRAY(
    SELECT request_id FROM detector.training WHERE updated_at < $1 AND stage >= 4 LIMIT $2))
"""
_DROP_VERSIONS: Final = """
DELETE FROM detector.model WHERE version = ANY(ARRAY(
    SELECT version FROM detector.model
    WHERE created_at < $1 AND NOT active AND NOT shadow
        AND version NOT IN (SELECT version FROM detector.model ORDER BY version DESC LIMIT $3)
    LIMIT $2))
"""
VERSIONS_KEPT: Final = 30


class RetentionStore:
    """Deletes in portions, so that no transaction is long; running twice at once is harmless."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def drop_anomalies(self, before: datetime) -> int:
        """At most `AT_ONCE` of those committed earlier; how many there were."""
        with guard("drop_anomalies"):
            return int(await self._pool.fetchval(_DROP_ANOMALIES, before, AT_ONCE))

    async def drop_feedback(self, before: datetime) -> int:
        """At most `AT_ONCE` judgements said earlier; how many there were."""
        return await self._drop("drop_feedback", _DROP_FEEDBACK, before)

    async def drop_trainings(self, before: datetime) -> int:
        """At most `AT_ONCE` trainings finished earlier; how many there were."""
        return await self._drop("drop_trainings", _DROP_TRAININGS, before)

    async def drop_versions(self, before: datetime) -> int:
        """At most `AT_ONCE` made earlier that nothing uses; the newest are kept however old."""
        return await self._drop("drop_versions", _DROP_VERSIONS, before, VERSIONS_KEPT)

    async def _drop(self, name: str, statement: str, before: datetime, *more: int) -> int:
        with guard(name):
            done = await self._pool.execute(statement, before, AT_ONCE, *more)
        return int(done.removeprefix("DELETE "))
