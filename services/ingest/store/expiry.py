"""Deleting what nobody needs any more: ended episodes, old dead letters, unused subscriptions."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

_NOTE_PRESENCE: Final = """
UPDATE ingest.subscription SET seen_at = newest.seen_at
FROM (SELECT subscription, max(seen_at) AS seen_at FROM ingest.consumer GROUP BY subscription)
    AS newest
WHERE name = newest.subscription AND subscription.seen_at < newest.seen_at
"""
_FORGET_CONSUMERS: Final = "DELETE FROM ingest.consumer WHERE seen_at < now() - interval '1 day'"
_SUBSCRIPTIONS: Final = """
DELETE FROM ingest.subscription
WHERE seen_at < $1 AND NOT EXISTS (
    SELECT 1 FROM ingest.consumer WHERE consumer.subscription = subscription.name)
RETURNING name
"""
_DEAD_LETTERS: Final = "DELETE FROM ingest.delivery WHERE bury_time < $1 RETURNING 1"
_EXEMPLARS: Final = """
DELETE FROM ingest.exemplar WHERE time_ms < greatest($1, (
    SELECT time_ms FROM ingest.exemplar ORDER BY time_ms DESC OFFSET $2 - 1 LIMIT 1))
RETURNING 1
"""
_LOCK: Final = "SELECT 1 FROM ingest.alert_head FOR UPDATE"
# An episode stays while a subscription has yet to read or to ack one of its changes.
_EPISODES: Final = """
DELETE FROM ingest.alert WHERE alert_id = ANY(ARRAY(
    SELECT ended.alert_id FROM ingest.alert AS ended
    WHERE ended.state = 2 AND ended.end_time < $1 AND ended.update_time < $1
      AND NOT EXISTS (
        SELECT 1 FROM ingest.alert_change AS change
        WHERE change.alert_id = ended.alert_id
          AND (change.change_id > (SELECT min(last_change) FROM ingest.subscription WHERE topic = 2)
               OR EXISTS (SELECT 1 FROM ingest.delivery
                          WHERE delivery.change_id = change.change_id)))
    ORDER BY ended.end_time LIMIT $2))
RETURNING 1
"""


class ExpiryStore:
    """Deletes by age; every method may run in several processes at once."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def forget_consumers(self) -> None:
        """Removes consumers not seen for a day; their subscription remembers when they were."""
        with guard("forget_consumers"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_NOTE_PRESENCE)
                await connection.execute(_FORGET_CONSUMERS)

    async def drop_subscriptions(self, unseen_since_ms: int) -> list[str]:
        """Deletes subscriptions without consumers since then, and all that waits for them."""
        with guard("drop_subscriptions"):
            rows = await self._pool.fetch(_SUBSCRIPTIONS, _moment(unseen_since_ms))
        return [row["name"] for row in rows]

    async def drop_dead_letters(self, buried_before_ms: int) -> int:
        """Deletes dead letters that nobody has redriven; how many."""
        with guard("drop_dead_letters"):
            return len(await self._pool.fetch(_DEAD_LETTERS, _moment(buried_before_ms)))

    async def drop_exemplars(self, before_ms: int, most: int) -> int:
        """Deletes exemplars older than that, and than the newest `most`; how many."""
        with guard("drop_exemplars"):
            return len(await self._pool.fetch(_EXEMPLARS, before_ms, most))

    async def drop_episodes(self, ended_before_ms: int, most: int) -> int:
        """Deletes up to `most` resolved episodes with their changes, oldest first; how many.

        Writers of alerts wait meanwhile, so that no change is merged into half an episode.
        """
        with guard("drop_episodes"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_LOCK)
                return len(await connection.fetch(_EPISODES, _moment(ended_before_ms), most))


def _moment(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)
