"""Incidents as they were last seen."""

from typing import TYPE_CHECKING, Final

from mesh.errors import NotFound
from mesh.postgres import guard
from services.notifier.model.incident import Incident
from services.notifier.routing.tree import Routing
from services.notifier.store.inhibition import inhibitor_of
from services.notifier.store.rows import incident_of

if TYPE_CHECKING:
    from mesh.postgres import Pool

_GET: Final = "SELECT document FROM notifier.incident WHERE incident_id = $1"


class Incidents:
    """Questions about incidents."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def get(self, incident_id: str) -> Incident:
        """One incident.

        Raises:
            NotFound: INCIDENT_NOT_FOUND.
        """
        with guard("get_incident"):
            document = await self._pool.fetchval(_GET, incident_id)
        if document is None:
            raise NotFound("incident", incident_id)
        return incident_of(document)

    async def inhibitor(self, routing: Routing, incident: Incident) -> str:
        """The id of the open incident that holds this one back; empty for none."""
        with guard("inhibitor"):
            return await inhibitor_of(self._pool, routing, incident)
