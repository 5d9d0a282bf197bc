"""Notices that are due: claimed by one replica at a time, settled only by who holds the claim."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from mesh.postgres import guard
from services.notifier.model.notices import Kind, Notice
from services.notifier.routing.receivers import Rate
from services.notifier.store.digests import fold
from services.notifier.store.rows import COLUMNS, IntegrationKey, notice_of

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.notifier.store.rows import Connection

_READY: Final = """
SELECT DISTINCT n.receiver, n.integration FROM notifier.notice n
LEFT JOIN notifier.integration i USING (receiver, integration)
WHERE n.state IN ('pending', 'sending') AND n.next_attempt <= now()
  AND (i.open_until IS NULL OR i.open_until <= now())
"""
_LOCK_WAY: Final = """
INSERT INTO notifier.integration AS i (receiver, integration) VALUES ($1, $2)
ON CONFLICT (receiver, integration) DO UPDATE SET failures = i.failures
RETURNING failures, open_until IS NOT NULL AND open_until > now() AS is_open
"""
_FILL: Final = """
UPDATE notifier.integration SET filled_at = now(), tokens = least($3, coalesce(tokens, $3)
    + greatest(0, extract(epoch FROM now() - coalesce(filled_at, now()))) * $4)
WHERE receiver = $1 AND integration = $2 RETURNING tokens
"""
_SPEND: Final = """
UPDATE notifier.integration SET tokens = tokens - 1 WHERE receiver = $1 AND integration = $2
"""
# what was decided before for the same incident and way goes first, digests of the way included
_CLAIM: Final = f"""
WITH next AS (
    SELECT n.seq FROM notifier.notice n
    WHERE n.receiver = $1 AND n.integration = $2 AND n.state IN ('pending', 'sending')
      AND n.next_attempt <= now()
      AND NOT EXISTS (SELECT FROM notifier.notice e
          WHERE e.receiver = $1 AND e.integration = $2 AND e.state IN ('pending', 'sending')
            AND e.seq < n.seq AND (e.incident_id = n.incident_id OR e.kind = 'digest'))
    ORDER BY n.next_attempt, n.seq LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE notifier.notice n SET state = 'sending', attempt = n.attempt + 1, owner = $3,
    next_attempt = now() + $4 * interval '1 s'
FROM next WHERE n.seq = next.seq RETURNING n.{COLUMNS.replace("notice_id, seq", "notice_id, n.seq")}
"""  # noqa: S608
_BEGIN: Final = "INSERT INTO notifier.attempt (notice_id, attempt) VALUES ($1, $2)"
_REFERENCE: Final = """
SELECT reference FROM notifier.thread
WHERE incident_id = $1 AND receiver = $2 AND integration = $3
"""
_MEMBERS: Final = """
SELECT title FROM notifier.notice WHERE digest_id = $1
ORDER BY array_position(ARRAY['critical', 'warning', 'info'], severity), seq
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A notice that is ours to send until the lease ends.

    Attributes:
        reference: What the server calls the message of the same incident; empty for none yet.
        members: Of a digest, the titles of what it tells, the worst first.
    """

    notice: Notice
    owner: UUID
    reference: str = ""
    members: tuple[str, ...] = ()


class Claims:
    """The queue of notices."""

    def __init__(self, pool: "Pool", *, lease_s: float) -> None:
        """A claim that is not settled within `lease_s` is anybody's again."""
        self._pool = pool
        self._lease_s = lease_s

    async def ready(self) -> list[IntegrationKey]:
        """Ways for which something is due."""
        with guard("ready_ways"):
            return [IntegrationKey(**dict(row)) for row in await self._pool.fetch(_READY)]

    async def claim(
        self, way: IntegrationKey, owner: UUID, rate: Rate | None, *, folds: bool
    ) -> Claim | None:
        """The next notice of a way; None when none may go out now.

        Args:
            way: Whose notice.
            owner: Who claims.
            rate: What the receiver takes; None for any number.
            folds: Whether what is over the rate becomes a digest; else it waits.
        """
        with guard("claim_notice"):
            async with self._pool.acquire() as connection, connection.transaction():
                place = (way.receiver, way.integration)
                state = await connection.fetchrow(_LOCK_WAY, *place)
                if state is None or state["is_open"]:
                    return None
                if rate is not None and not await self._has_token(connection, way, rate, folds):
                    return None
                row = await connection.fetchrow(_CLAIM, *place, owner, self._lease_s)
                if row is None:
                    return None
                if rate is not None:
                    await connection.execute(_SPEND, *place)
                return await self._claimed(connection, notice_of(row), owner)

    async def _has_token(
        self, connection: "Connection", way: IntegrationKey, rate: Rate, folds: bool
    ) -> bool:
        per_token_s = rate.per_s / rate.notices
        fill = (way.receiver, way.integration, float(rate.notices), 1 / per_token_s)
        tokens: float = await connection.fetchval(_FILL, *fill)
        if tokens >= 1:
            return True
        if folds:
            await fold(connection, way, wait_s=(1 - tokens) * per_token_s)
        return False

    async def _claimed(self, connection: "Connection", notice: Notice, owner: UUID) -> Claim:
        await connection.execute(_BEGIN, notice.notice_id, notice.attempt)
        place = (notice.incident_id, notice.receiver, notice.integration)
        is_digest = notice.kind is Kind.DIGEST
        members = await connection.fetch(_MEMBERS, UUID(notice.digest)) if is_digest else []
        return Claim(
            notice=notice,
            owner=owner,
            reference=await connection.fetchval(_REFERENCE, *place) or "",
            members=tuple(row["title"] for row in members),
        )
