"""Incidents as they were last seen."""

from typing import TYPE_CHECKING, Final

from mesh.errors import NotFound
from mesh.postgres import guard
from services.notifier.model.incident import Incident
from services.notifier.store.rows import incident_of

if TYPE_CHECKING:
    from mesh.postgres import Pool

_GET: Final = "SELECT document FROM notifier.incident WHERE incident_id = $1"
_OPEN: Final = "SELECT document FROM notifier.incident WHERE NOT is_over"


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

    async def open(self) -> list[Incident]:
        """All that are not over."""
        with guard("open_incidents"):
            rows = await self._pool.fetch(_OPEN)
        return [incident_of(row["document"]) for row in rows]
