"""The log of incidents, in the order of its commits, each event with its incident by now."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from mesh.notices import Notices, listening
from mesh.postgres import guard
from services.incidents.model.incident import Event, Incident
from services.incidents.store.rows import incident_of
from services.incidents.store.transaction import CHANNEL

if TYPE_CHECKING:
    from mesh.postgres import Pool

_HEAD: Final = "SELECT last_event FROM incidents.head"
_AFTER: Final = """
SELECT event.body AS event, incident.body AS incident
FROM incidents.event JOIN incidents.incident USING (incident_id)
WHERE event_id > $1 ORDER BY event_id LIMIT $2
"""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event, and its incident as it stands by now."""

    event: Event
    incident: Incident

    @property
    def cursor(self) -> int:
        """Its place in the log."""
        return self.event.event_id


class IncidentLog:
    """Reads events; any process reads all of them."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`."""
        self._pool = pool

    async def head(self) -> int:
        """The newest event."""
        with guard("event_head"):
            head: int = await self._pool.fetchval(_HEAD)
        return head

    async def last(self) -> int:
        """No cursor above it was ever given."""
        return await self.head()

    async def dropped(self) -> int:
        """0: what retention takes has been over for months."""
        return 0

    async def after(self, cursor: int, limit: int) -> Sequence[LoggedEvent]:
        """Events behind `cursor`, oldest first."""
        with guard("events_after"):
            rows = await self._pool.fetch(_AFTER, cursor, limit)
        return [
            LoggedEvent(msgspec.json.decode(row["event"], type=Event), incident_of(row["incident"]))
            for row in rows
        ]

    def listening(self) -> AbstractAsyncContextManager[Notices]:
        """Hears of commits while the block runs."""
        return listening(self._pool, CHANNEL)
