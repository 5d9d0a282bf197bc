"""Links that log in: signed by whoever has the key of the installation, and good once."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

_USE: Final = """
    INSERT INTO gateway.used_login_link VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true"""
_PURGE: Final = "DELETE FROM gateway.used_login_link WHERE expires_at < now()"


class LoginLinkStore:
    """Ids of links that were used."""

    def __init__(self, pool: "Pool") -> None:
        """Uses the gateway's pool."""
        self._pool = pool

    async def use(self, link_id: str, expires_at_s: float) -> bool:
        """Notes that a link is used; False when it was before."""
        expires_at = datetime.fromtimestamp(expires_at_s, UTC)
        with guard("use_login_link"):
            return bool(await self._pool.fetchval(_USE, link_id, expires_at))

    async def purge(self) -> None:
        """Drops what has expired."""
        with guard("purge_login_links"):
            await self._pool.execute(_PURGE)
