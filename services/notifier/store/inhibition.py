"""Which open incident holds another one back: asked by labels, of what is stored."""

from typing import TYPE_CHECKING, Final

from services.notifier.model.incident import Incident
from services.notifier.routing.tree import Routing

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.notifier.store.rows import Connection

# one look into the index for each rule
_SOURCES: Final = """
SELECT DISTINCT source.incident_id, source.labels
FROM unnest($1::jsonb[]) AS wanted CROSS JOIN LATERAL (
    SELECT incident_id, labels FROM notifier.incident
    WHERE NOT is_over AND labels @> wanted AND incident_id <> $2
) AS source ORDER BY source.incident_id
"""


async def inhibitor_of(
    connection: "Connection | Pool", routing: Routing, incident: Incident
) -> str:
    """The id of the incident that holds this one back; empty for none."""
    wanted = routing.sources_of(incident.labels)
    if not wanted:
        return ""
    rows = await connection.fetch(_SOURCES, wanted, incident.incident_id)
    return routing.inhibitor(incident.labels, ((row["incident_id"], row["labels"]) for row in rows))
