"""Versions of the routing."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mesh import audit
from mesh.auth import current_principal
from mesh.errors import Conflict
from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

_COLUMNS: Final = """version, yaml, etag, author,
    (extract(epoch FROM create_time) * 1000)::bigint AS create_ms"""
_NEWEST: Final = f"""
SELECT {_COLUMNS} FROM notifier.routing ORDER BY version DESC LIMIT 1
"""  # noqa: S608
_GET: Final = f"SELECT {_COLUMNS} FROM notifier.routing WHERE version = $1"  # noqa: S608
_LIST: Final = f"""
SELECT {_COLUMNS.replace("yaml", "'' AS yaml")} FROM notifier.routing
WHERE version < $1 ORDER BY version DESC LIMIT $2
"""  # noqa: S608
_LOCK: Final = "LOCK TABLE notifier.routing IN SHARE ROW EXCLUSIVE MODE"
_ADD: Final = f"""
INSERT INTO notifier.routing (version, yaml, etag, author)
SELECT coalesce(max(version), 0) + 1, $1, $2, $3 FROM notifier.routing RETURNING {_COLUMNS}
"""  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRouting:
    """One version. `create_ms` is Unix milliseconds."""

    version: int = 0
    yaml: str = ""
    etag: str = ""
    author: str = ""
    create_ms: int = 0


class Routings:
    """Questions about the routing; the only one that changes it."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def newest(self) -> StoredRouting:
        """The version that holds; version 0 before the first."""
        with guard("newest_routing"):
            row = await self._pool.fetchrow(_NEWEST)
        return StoredRouting(**dict(row)) if row else StoredRouting()

    async def version(self, number: int) -> StoredRouting | None:
        """One version, if it is there."""
        with guard("get_routing"):
            row = await self._pool.fetchrow(_GET, number)
        return StoredRouting(**dict(row)) if row else None

    async def page(self, before: int, limit: int) -> list[StoredRouting]:
        """Versions below one, the newest first, without their text."""
        with guard("list_routings"):
            rows = await self._pool.fetch(_LIST, before, limit)
        return [StoredRouting(**dict(row)) for row in rows]

    async def put(self, yaml: str, etag: str) -> StoredRouting:
        """Makes a text the version that holds; the same text again changes nothing.

        Raises:
            Conflict: ETAG_STALE, another version was put since.
        """
        fresh = hashlib.sha256(yaml.encode()).hexdigest()
        with guard("put_routing"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_LOCK)
                row = await connection.fetchrow(_NEWEST)
                before = StoredRouting(**dict(row)) if row else StoredRouting()
                if etag and etag != before.etag:
                    message = "the routing was changed since it was read: read it again"
                    raise Conflict(message, reason="ETAG_STALE")
                if before.yaml == yaml:
                    return before
                author = current_principal().subject
                etag = f"{before.version + 1}-{fresh[:32]}"
                row = await connection.fetchrow(_ADD, yaml, etag, author)
                put = StoredRouting(**dict(row or {}))
                detail = audit.changes({"yaml": before.yaml}, {"yaml": yaml})
                await audit.append(
                    connection,
                    "notifier",
                    action="routing.put",
                    subject=f"routing@{put.version}",
                    detail=detail,
                )
        return put
