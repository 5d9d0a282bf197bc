"""Digests: what is over the rate of a receiver goes out as one notice."""

import uuid
from typing import TYPE_CHECKING, Final

import msgspec

from services.notifier.model.notices import Content, Event
from services.notifier.store.rows import IntegrationKey

if TYPE_CHECKING:
    from services.notifier.store.rows import Connection

_LEAST: Final = 2
# what was tried before stays by itself, and so does what follows it for the same incident
_DUE: Final = """
SELECT n.notice_id FROM notifier.notice n
WHERE n.receiver = $1 AND n.integration = $2 AND n.state = 'pending' AND n.attempt = 0
  AND n.next_attempt <= now() AND n.kind NOT IN ('digest', 'edited', 'test')
  AND NOT EXISTS (SELECT FROM notifier.notice e
      WHERE e.receiver = $1 AND e.integration = $2 AND e.state IN ('pending', 'sending')
        AND e.incident_id = n.incident_id AND e.seq < n.seq
        AND (e.attempt > 0 OR e.next_attempt > now() OR e.kind IN ('edited', 'test')))
ORDER BY n.seq FOR UPDATE SKIP LOCKED
"""
_OPEN_DIGEST: Final = """
SELECT notice_id FROM notifier.notice WHERE receiver = $1 AND integration = $2
  AND kind = 'digest' AND state = 'pending' AND attempt = 0 FOR UPDATE SKIP LOCKED
"""
_NEW_DIGEST: Final = """
INSERT INTO notifier.notice (notice_id, notice_key, incident_id, transition, kind, state, severity,
    receiver, integration, title, content, path, step, event_time, next_attempt)
VALUES ($1::uuid, $2, '', 0, 'digest', 'pending', 'info', $3, $4, '', $5, '{}', ($1::uuid)::text,
    now(), now() + $6 * interval '1 s')
"""
_FOLD: Final = """
UPDATE notifier.notice SET state = 'folded', digest_id = $2 WHERE notice_id = ANY($1::uuid[])
"""
_DESCRIBE: Final = """
UPDATE notifier.notice d SET event_time = m.first, severity = m.worst,
    title = '[' || upper(m.worst) || '] ' || m.count || ' notices, the worst: ' || m.title
FROM (SELECT count(*) AS count, min(event_time) AS first,
        (array_agg(severity ORDER BY rank, seq))[1] AS worst,
        (array_agg(title ORDER BY rank, seq))[1] AS title
      FROM (SELECT *, array_position(ARRAY['critical', 'warning', 'info'], severity) AS rank
            FROM notifier.notice WHERE digest_id = $1) AS ranked) AS m
WHERE d.notice_id = $1
"""


async def fold(connection: "Connection", way: IntegrationKey, *, wait_s: float) -> None:
    """Puts all that is due for a way into one digest, which goes out in `wait_s`.

    In the caller's transaction, which holds the row of the way. Less than two notices wait.
    """
    place = (way.receiver, way.integration)
    due = [row["notice_id"] for row in await connection.fetch(_DUE, *place)]
    digest = await connection.fetchval(_OPEN_DIGEST, *place)
    if len(due) + (digest is not None) < _LEAST or not due:
        return
    if digest is None:
        digest = uuid.uuid4()
        content = msgspec.json.encode(Content(event=Event(time_ms=0)))
        await connection.execute(_NEW_DIGEST, digest, digest.bytes, *place, content, wait_s)
    await connection.execute(_FOLD, due, digest)
    await connection.execute(_DESCRIBE, digest)
