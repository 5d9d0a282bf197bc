"""Versions of services, read."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard
from services.topology.model.reading import StoredVersion

if TYPE_CHECKING:
    from mesh.postgres import Pool

ALIVE: Final = timedelta(minutes=5)

_LISTED: Final = """
SELECT service, version, environment, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
    count(*) FILTER (WHERE last_seen >= $1) AS instances,
    (sum(count(*) FILTER (WHERE last_seen >= $1)) OVER (PARTITION BY service, environment))::bigint
        AS all_instances
FROM topology.instance GROUP BY service, version, environment
"""
_PAGE: Final = f"""
SELECT * FROM ({_LISTED}) WHERE ($2 = '' OR service = $2) AND last_seen >= $3
ORDER BY first_seen DESC, service, version, environment OFFSET $4 LIMIT $5
"""  # noqa: S608 - of texts above
_CHANGED: Final = f"""
WITH alive AS (
    SELECT service, version, environment,
        count(*) FILTER (WHERE first_seen < $2 AND last_seen + $4 >= $2) AS before,
        count(*) FILTER (WHERE first_seen < $3 AND last_seen + $4 >= $3) AS after
    FROM topology.instance GROUP BY service, version, environment
), shares AS (
    SELECT *, sum(before) OVER all_of AS all_before, sum(after) OVER all_of AS all_after
    FROM alive WINDOW all_of AS (PARTITION BY service, environment)
)
SELECT listed.* FROM ({_LISTED}) AS listed JOIN shares USING (service, version, environment)
WHERE (first_seen >= $2 AND first_seen < $3)
    OR (2 * after > all_after AND 2 * before <= all_before)
ORDER BY first_seen DESC, service, version, environment LIMIT $5
"""  # noqa: S608 - of texts above


class VersionStore:
    """Adds up instances."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def list(
        self, service: str, seen_since: datetime, now: datetime, *, after: int, size: int
    ) -> Sequence[StoredVersion]:
        """At most `size` versions after the first `after`, newest first seen first."""
        with guard("list_versions"):
            rows = await self._pool.fetch(_PAGE, now - ALIVE, service, seen_since, after, size)
        return [StoredVersion(**row) for row in rows]

    async def changed(
        self, start: datetime, end: datetime, now: datetime, most: int
    ) -> Sequence[StoredVersion]:
        """Versions that were first seen, or took over, between two times."""
        with guard("changed_versions"):
            rows = await self._pool.fetch(_CHANGED, now - ALIVE, start, end, ALIVE, most)
        return [StoredVersion(**row) for row in rows]
