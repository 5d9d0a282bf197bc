"""How far series were handed to ingest, and which versions the explainer was sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

_NEXT: Final = """
SELECT published.minute AS published, coalesce(min(final_before), 0) AS final_before,
    (SELECT min(minute) FROM topology.minute WHERE minute > published.minute) AS next
FROM topology.published, topology.shard GROUP BY published.minute
"""
_PUBLISHED: Final = "UPDATE topology.published SET minute = $1 WHERE minute < $1"
_RUNNING: Final = """
SELECT DISTINCT service, version, environment FROM topology.instance
WHERE version <> '' AND last_seen >= to_timestamp($1::bigint)
    AND first_seen < to_timestamp($1::bigint) + interval '1 minute'
ORDER BY service, version, environment LIMIT $2
"""
_UNSENT: Final = """
WITH versions AS (
    SELECT service, version, environment, min(first_seen) AS first_seen
    FROM topology.instance WHERE version <> '' GROUP BY service, version, environment
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY service, environment ORDER BY first_seen, version)
        AS place FROM versions
)
SELECT service, version, environment, first_seen FROM ranked
WHERE place > 1 AND NOT EXISTS (
    SELECT FROM topology.sent_version AS sent WHERE sent.service = ranked.service
        AND sent.version = ranked.version AND sent.environment = ranked.environment)
ORDER BY first_seen LIMIT $1
"""
_SENT: Final = """
INSERT INTO topology.sent_version (service, version, environment, first_seen)
VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """A version that is not the first one of its service."""

    service: str
    version: str
    environment: str
    first_seen: datetime


class PublishedStore:
    """Where each replica goes on; two that do the same change nothing."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def due(self) -> int | None:
        """The oldest minute that is final in every shard and not handed on; None for none."""
        with guard("due_minute"):
            rows = await self._pool.fetch(_NEXT)
        if not rows or rows[0]["next"] is None or rows[0]["next"] >= rows[0]["final_before"]:
            return None
        return int(rows[0]["next"])

    async def published(self, minute: int) -> None:
        """All up to and with a minute is handed on."""
        with guard("published_minute"):
            await self._pool.execute(_PUBLISHED, minute)

    async def running(self, minute: int, most: int) -> Sequence[tuple[str, str, str]]:
        """Service, version and environment of what sent anything in a minute or later."""
        with guard("running_versions"):
            rows = await self._pool.fetch(_RUNNING, minute * 60, most)
        return [tuple(row) for row in rows]

    async def unsent(self, most: int) -> Sequence[Deploy]:
        """Versions that were not sent."""
        with guard("unsent_versions"):
            rows = await self._pool.fetch(_UNSENT, most)
        return [Deploy(**row) for row in rows]

    async def sent(self, deploy: Deploy) -> None:
        """A version was sent."""
        with guard("sent_version"):
            await self._pool.execute(
                _SENT, deploy.service, deploy.version, deploy.environment, deploy.first_seen
            )
