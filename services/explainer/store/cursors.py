"""Places in watched logs, each held by one replica at a time."""

from typing import TYPE_CHECKING
from uuid import UUID

from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

_HOLD = """
INSERT INTO explainer.cursor AS held (name, cursor, owner, lease_until)
VALUES ($1, 0, $2, now() + $3 * interval '1 s')
ON CONFLICT (name) DO UPDATE SET owner = $2, lease_until = now() + $3 * interval '1 s'
WHERE held.owner = $2 OR held.lease_until < now()
RETURNING cursor
"""
_MOVE = """
UPDATE explainer.cursor SET cursor = greatest(cursor, $3), lease_until = now() + $4 * interval '1 s'
WHERE name = $1 AND owner = $2 RETURNING cursor
"""
_BACK = "UPDATE explainer.cursor SET cursor = $3 WHERE name = $1 AND owner = $2"
_RELEASE = "UPDATE explainer.cursor SET lease_until = now() WHERE name = $1 AND owner = $2"


class Cursors:
    """Remembers how far a log was processed."""

    def __init__(self, pool: "Pool", *, lease_s: float) -> None:
        """A holder that does not move for `lease_s` loses its place to another replica."""
        self._pool = pool
        self._lease_s = lease_s

    async def hold(self, name: str, owner: UUID) -> int | None:
        """Takes the log and tells how far it was processed; None while another replica holds it."""
        with guard("hold_cursor"):
            held: int | None = await self._pool.fetchval(_HOLD, name, owner, self._lease_s)
        return held

    async def move(self, name: str, owner: UUID, cursor: int) -> bool:
        """Everything up to `cursor` is processed; False when the log is no longer ours."""
        with guard("move_cursor"):
            moved = await self._pool.fetchval(_MOVE, name, owner, cursor, self._lease_s)
        return moved is not None

    async def back(self, name: str, owner: UUID, cursor: int) -> None:
        """The log is read again from `cursor`, if it is still ours."""
        with guard("move_cursor_back"):
            await self._pool.execute(_BACK, name, owner, cursor)

    async def release(self, name: str, owner: UUID) -> None:
        """Lets another replica take the log at once."""
        with guard("release_cursor"):
            await self._pool.execute(_RELEASE, name, owner)
