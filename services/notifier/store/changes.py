"""The log of incidents as it comes in: place, incident, notices and timers in one commit."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from mesh.errors import Unavailable
from mesh.postgres import guard
from services.notifier.decisions.plan import Change, Plan, StoredState
from services.notifier.model.incident import Incident
from services.notifier.routing.tree import Routing
from services.notifier.store.fallback import insert_with_copies
from services.notifier.store.first import renew_first
from services.notifier.store.known import known_of
from services.notifier.store.timers import add_timers, end_timers

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.notifier.store.rows import Connection

WATCH: Final = "incidents"

_HOLD: Final = """
INSERT INTO notifier.cursor AS held (name, cursor, owner, lease_until)
VALUES ($1, 0, $2, now() + $3 * interval '1 s')
ON CONFLICT (name) DO UPDATE SET owner = $2, lease_until = now() + $3 * interval '1 s'
WHERE held.owner = $2 OR held.lease_until < now()
RETURNING cursor
"""
_MOVE: Final = """
UPDATE notifier.cursor SET cursor = greatest(cursor, $3), lease_until = now() + $4 * interval '1 s'
WHERE name = $1 AND owner = $2 RETURNING cursor
"""
_BACK: Final = "UPDATE notifier.cursor SET cursor = $3 WHERE name = $1 AND owner = $2"
_RELEASE: Final = "UPDATE notifier.cursor SET lease_until = now() WHERE name = $1 AND owner = $2"
_KEEP: Final = """
INSERT INTO notifier.incident (incident_id, is_over, document, labels) VALUES ($1, $2, $3, $4)
ON CONFLICT (incident_id) DO UPDATE
    SET is_over = $2, document = $3, labels = $4, update_time = now()
"""


class Changes:
    """Takes changes in; one replica at a time does."""

    def __init__(self, pool: "Pool", *, lease_s: float) -> None:
        """A holder that takes nothing in for `lease_s` loses its place to another replica."""
        self._pool = pool
        self._lease_s = lease_s

    async def hold(self, owner: UUID) -> int | None:
        """Takes the log and tells how far it was followed; None while another replica holds it."""
        with guard("hold_cursor"):
            held: int | None = await self._pool.fetchval(_HOLD, WATCH, owner, self._lease_s)
        return held

    async def back(self, owner: UUID, cursor: int) -> None:
        """The log is read again from `cursor`, if it is still ours."""
        with guard("move_cursor_back"):
            await self._pool.execute(_BACK, WATCH, owner, cursor)

    async def release(self, owner: UUID) -> None:
        """Lets another replica take the log at once."""
        with guard("release_cursor"):
            await self._pool.execute(_RELEASE, WATCH, owner)

    async def move(self, owner: UUID, cursor: int) -> None:
        """Everything up to `cursor` is taken in.

        Raises:
            Unavailable: The log is no longer ours.
        """
        with guard("move_cursor"):
            async with self._pool.acquire() as connection:
                await self._move(connection, owner, cursor)

    async def take(
        self,
        owner: UUID,
        change: Change,
        routing: Routing,
        now_ms: int,
        decide: Callable[[Change, StoredState], Plan],
    ) -> int:
        """One change, whole or not at all; how many notices it gave.

        Raises:
            Unavailable: The log is no longer ours.
        """
        incident = change.incident
        with guard("take_change"):
            async with self._pool.acquire() as connection, connection.transaction():
                await self._move(connection, owner, change.cursor)
                await keep_incident(connection, incident)
                known = await known_of(connection, incident, routing, now_ms)
                decided = decide(change, known)
                if change.kind is None:
                    await renew_first(connection, incident)
                if decided.timers_end:
                    await end_timers(connection, incident.incident_id)
                await add_timers(connection, decided.timers)
                return await insert_with_copies(connection, routing, decided.notices)

    async def _move(self, connection: "Connection", owner: UUID, cursor: int) -> None:
        if await connection.fetchval(_MOVE, WATCH, owner, cursor, self._lease_s) is None:
            raise Unavailable("another replica follows the incidents now")


async def keep_incident(connection: "Connection", incident: Incident) -> None:
    """Stores an incident and locks its row, so that its notices are decided one after another."""
    document = msgspec.json.encode(incident)
    await connection.execute(
        _KEEP, incident.incident_id, incident.state.is_over, document, incident.labels
    )
