"""What is stored of an incident that decides who hears of it."""

from typing import TYPE_CHECKING, Final

from services.notifier.decisions.holds import HoldRules
from services.notifier.decisions.plan import StoredState
from services.notifier.model.incident import Incident
from services.notifier.routing.tree import Routing
from services.notifier.store.inhibition import inhibitor_of
from services.notifier.store.rows import TOLD_KINDS

if TYPE_CHECKING:
    from services.notifier.store.rows import Connection

_TOLD: Final = """
SELECT DISTINCT receiver, integration FROM notifier.notice
WHERE incident_id = $1 AND kind = ANY($2::text[])
  AND state IN ('pending', 'sending', 'sent', 'folded')
"""


async def known_of(
    connection: "Connection", incident: Incident, routing: Routing, now_ms: int
) -> StoredState:
    """Who heard of an incident, and what holds it back."""
    rows = await connection.fetch(_TOLD, incident.incident_id, list(TOLD_KINDS))
    inhibitor = await inhibitor_of(connection, routing, incident)
    return StoredState(
        notified=frozenset((row["receiver"], row["integration"]) for row in rows),
        holds=HoldRules(routing=routing, now_ms=now_ms, inhibitor=inhibitor),
    )
