"""Postmortems that people saved."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mesh.errors import Conflict
from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.incidents.store.transaction import Connection

_GET: Final = """
SELECT text, actor, save_ms, revision FROM incidents.postmortem WHERE incident_id = $1
"""
_PUT: Final = """
INSERT INTO incidents.postmortem AS saved VALUES ($1, $2, $3, $4, 1)
ON CONFLICT (incident_id) DO UPDATE SET text = excluded.text, actor = excluded.actor,
    save_ms = excluded.save_ms, revision = saved.revision + 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPostmortem:
    """A text and who wrote it; `revision` 0 when nobody has."""

    text: str = ""
    actor: str = ""
    save_ms: int = 0
    revision: int = 0

    @property
    def etag(self) -> str:
        """Changes with every text; empty before the first."""
        return str(self.revision) if self.revision else ""


class PostmortemStore:
    """Reads texts."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`."""
        self._pool = pool

    async def get(self, incident_id: str) -> StoredPostmortem:
        """The text of an incident."""
        with guard("get_postmortem"):
            row = await self._pool.fetchrow(_GET, incident_id)
        return StoredPostmortem(**dict(row)) if row else StoredPostmortem()


async def save(
    connection: "Connection", incident_id: str, text: str, etag: str, actor: str, now_ms: int
) -> StoredPostmortem:
    """Keeps a text.

    Raises:
        Conflict: ETAG_STALE, another one was saved since.
    """
    row = await connection.fetchrow(_GET, incident_id)
    before = StoredPostmortem(**dict(row)) if row else StoredPostmortem()
    if etag != before.etag:
        raise Conflict("another text was saved: read it again", reason="ETAG_STALE")
    await connection.execute(_PUT, incident_id, text, actor, now_ms)
    return StoredPostmortem(text=text, actor=actor, save_ms=now_ms, revision=before.revision + 1)
