"""When alerts were last said to fire, and the end of those that nobody says any more."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard
from services.ingest.store.alert_log import ADVANCE, LOCK
from services.ingest.store.alerts import instant

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.ingest.store.transaction import Connection

_GRAIN_MS: Final = 60_000
"""Repeats within a minute are noted once: each note writes a row."""

_NOTE: Final = """
UPDATE ingest.alert SET repeat_time = $2
WHERE alert_id = ANY($1) AND state = 1 AND repeat_time < $3
"""
# A repeat shows that what had expired goes on: as if its end had never been.
_REVIVE: Final = """
WITH revived AS (
    UPDATE ingest.alert
    SET state = 1, end_time = NULL, end_reason = 0, update_time = $2, repeat_time = $2
    WHERE alert_id = ANY($1) AND end_reason = 4 RETURNING alert_id
), forgotten AS (
    DELETE FROM ingest.alert_change WHERE alert_id IN (SELECT alert_id FROM revived)
)
SELECT alert_id FROM revived ORDER BY alert_id
"""
_SILENT: Final = """
UPDATE ingest.alert
SET state = 2, end_time = greatest(start_time, repeat_time + $2::interval), end_reason = 4,
    update_time = $3
WHERE alert_id = ANY(ARRAY(
    SELECT alert_id FROM ingest.alert WHERE state = 1 AND repeat_time < $1
    ORDER BY repeat_time, alert_id LIMIT $4))
RETURNING alert_id, end_time
"""
_CHANGE: Final = """
INSERT INTO ingest.alert_change
    (change_id, alert_id, state, end_time, traceparent, is_inferred, commit_time)
SELECT $1 + place, alert_id, $2, end_time, '', $3, $4
FROM unnest($5::text[], $6::timestamptz[]) WITH ORDINALITY AS ended (alert_id, end_time, place)
"""


async def note_repeats(
    connection: "Connection", alert_ids: Sequence[str], last_change: int, now: datetime
) -> int:
    """Notes that these episodes still fire, within the transaction that has the head; the last
    change after it, because one that had expired fires anew.
    """
    grain = now - timedelta(milliseconds=_GRAIN_MS)
    await connection.execute(_NOTE, alert_ids, now, grain)
    revived = await connection.fetch(_REVIVE, alert_ids, now)
    ids = [row["alert_id"] for row in revived]
    if ids:
        none = [None] * len(ids)
        await connection.execute(_CHANGE, last_change, 1, False, now, ids, none)
    return last_change + len(ids)


class RepeatStore:
    """Ends what is not repeated; any process may do it."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each round."""
        self._pool = pool

    async def expire(self, now_ms: int, timeout_ms: int, most: int) -> int:
        """Ends up to `most` episodes that were last said to fire `timeout_ms` ago; how many."""
        now, timeout = instant(now_ms), timedelta(milliseconds=timeout_ms)
        before = now - timeout - timedelta(milliseconds=min(_GRAIN_MS, timeout_ms))
        with guard("expire_alerts"):
            async with self._pool.acquire() as connection, connection.transaction():
                last = await connection.fetchval(LOCK)
                ended = await connection.fetch(_SILENT, before, timeout, now, most)
                if ended:
                    ids, ends = (list(each) for each in zip(*ended, strict=True))
                    await connection.execute(_CHANGE, last, 2, True, now, ids, ends)
                    await connection.execute(ADVANCE, last + len(ended))
        return len(ended)
