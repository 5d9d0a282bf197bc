"""First notices that have not gone out yet: they tell what is known when they go."""

from typing import TYPE_CHECKING, Final

import msgspec

from services.notifier.model.incident import Incident
from services.notifier.model.notices import Content, Kind

if TYPE_CHECKING:
    from services.notifier.store.rows import Connection

_WAITING: Final = """
SELECT notice_id, content FROM notifier.notice
WHERE incident_id = $1 AND kind = $2 AND state = 'pending' AND attempt = 0 FOR UPDATE SKIP LOCKED
"""
_RENEW: Final = """
UPDATE notifier.notice SET content = $2,
    next_attempt = CASE WHEN $3 THEN least(next_attempt, ready_time) ELSE next_attempt END
WHERE notice_id = $1
"""


async def renew_first(connection: "Connection", incident: Incident) -> None:
    """Puts what is known by now into them; with the cause they wait for their route alone."""
    for row in await connection.fetch(_WAITING, incident.incident_id, str(Kind.OPENED)):
        content = msgspec.json.decode(row["content"], type=Content)
        renewed = msgspec.structs.replace(content, incident=incident)
        body, has_cause = msgspec.json.encode(renewed), incident.cause is not None
        await connection.execute(_RENEW, row["notice_id"], body, has_cause)
