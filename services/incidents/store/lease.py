"""Who groups: one replica, with a fence that grows with each change of hands."""

from typing import TYPE_CHECKING, Final

from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

_HOLD: Final = """
UPDATE incidents.head SET lease_until = now() + $2 * interval '1 s', owner = $1,
    fence = CASE WHEN owner = $1 THEN fence ELSE fence + 1 END
WHERE owner = $1 OR lease_until < now()
RETURNING fence
"""
_RELEASE: Final = """
UPDATE incidents.head SET lease_until = now(), owner = '' WHERE owner = $1 AND fence = $2
"""


class LeaseStore:
    """The lease in the head of the log."""

    def __init__(self, pool: "Pool", *, lease_s: float) -> None:
        """Silence of a holder for `lease_s` lets another one take it."""
        self._pool = pool
        self._lease_s = lease_s

    async def hold(self, owner: str) -> int | None:
        """Takes or renews the lease; the fence, or None while another one holds it."""
        with guard("hold_lease"):
            fence: int | None = await self._pool.fetchval(_HOLD, owner, self._lease_s)
        return fence

    async def release(self, owner: str, fence: int) -> None:
        """Lets another replica take it at once."""
        with guard("release_lease"):
            await self._pool.execute(_RELEASE, owner, fence)

    async def cursors(self) -> dict[str, int]:
        """How far each watched log was processed."""
        with guard("cursors"):
            rows = await self._pool.fetch("SELECT name, cursor FROM incidents.cursor")
        return {row["name"]: row["cursor"] for row in rows}
