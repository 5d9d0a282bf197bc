"""What is stored of an incident that decides who hears of it."""

from typing import TYPE_CHECKING, Final

from services.notifier.decisions.holds import Holds
from services.notifier.decisions.plan import Known
from services.notifier.model.incident import Incident
from services.notifier.routing.tree import Routing
from services.notifier.store.rows import TOLD_KINDS, incident_of

if TYPE_CHECKING:
    from services.notifier.store.rows import Connection

_TOLD: Final = """
SELECT DISTINCT receiver, integration FROM notifier.notice
WHERE incident_id = $1 AND kind = ANY($2::text[])
  AND state IN ('pending', 'sending', 'sent', 'folded')
"""
_OTHERS: Final = """
SELECT document FROM notifier.incident WHERE NOT is_over AND incident_id <> $1
"""


async def known_of(
    connection: "Connection", incident: Incident, routing: Routing, now_ms: int
) -> Known:
    """Who was told of an incident, and what holds it back."""
    rows = await connection.fetch(_TOLD, incident.incident_id, list(TOLD_KINDS))
    inhibitor = ""
    if routing.inhibit and routing.can_be_inhibited(incident.labels):
        others = [
            incident_of(row[0]) for row in await connection.fetch(_OTHERS, incident.incident_id)
        ]
        inhibitor = routing.inhibitor(
            incident.labels, ((each.incident_id, each.labels) for each in others)
        )
    return Known(
        told=frozenset((row["receiver"], row["integration"]) for row in rows),
        holds=Holds(routing=routing, now_ms=now_ms, inhibitor=inhibitor),
    )
