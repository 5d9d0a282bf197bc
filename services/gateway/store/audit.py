"""The audit log: append-only, chained by hashes, so that a changed or missing row shows."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec

from mesh.postgres import guard
from services.gateway.model import AuditEntry

if TYPE_CHECKING:
    from mesh.postgres import Pool

    Connection = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )

GENESIS: Final = bytes(32)
"""What the first row names as the hash before it."""

_LOCK_KEY: Final = 7_313_640_001
_HEAD: Final = "SELECT entry_id, row_hash FROM gateway.audit ORDER BY entry_id DESC LIMIT 1"
_INSERT: Final = "INSERT INTO gateway.audit VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
_LIST: Final = "SELECT * FROM gateway.audit WHERE entry_id < $1 ORDER BY entry_id DESC LIMIT $2"
_AFTER: Final = "SELECT * FROM gateway.audit WHERE entry_id > $1 ORDER BY entry_id LIMIT 1000"


class AuditStore:
    """Reads the log and appends what no other store appends with its own change."""

    def __init__(self, pool: "Pool") -> None:
        """Uses the gateway's pool."""
        self._pool = pool

    async def append(
        self, actor: str, action: str, subject: str, detail: Mapping[str, str]
    ) -> None:
        """Appends one entry in a transaction of its own."""
        with guard("append_audit"):
            async with self._pool.acquire() as connection, connection.transaction():
                await append(connection, actor, action, subject, detail)

    async def newest(self, before_entry_id: int, limit: int) -> list[AuditEntry]:
        """Entries below `before_entry_id`, newest first."""
        with guard("list_audit"):
            rows = await self._pool.fetch(_LIST, before_entry_id, limit)
        return [_entry(row) for row in rows]

    async def first_broken(self) -> int | None:
        """Number of the first entry that does not follow from the one before; None: all do.

        Cost: reads the whole log.
        """
        previous = (0, GENESIS)
        while rows := await self._after(previous[0]):
            for entry in map(_entry, rows):
                if (entry.entry_id - 1, entry.prev_hash) != previous or not _is_intact(entry):
                    return entry.entry_id
                previous = (entry.entry_id, entry.row_hash)
        return None

    async def _after(self, entry_id: int) -> list[asyncpg.Record]:
        with guard("verify_audit"):
            return list(await self._pool.fetch(_AFTER, entry_id))


async def append(
    connection: "Connection", actor: str, action: str, subject: str, detail: Mapping[str, str]
) -> None:
    """Appends one entry in the transaction of the change itself; entries wait for each other."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK_KEY)
    head = await connection.fetchrow(_HEAD)
    entry_id = head["entry_id"] + 1 if head else 1
    prev_hash = head["row_hash"] if head else GENESIS
    now = datetime.now(UTC)
    row_hash = hash_of(prev_hash, (entry_id, now, actor, action, subject, dict(detail)))
    await connection.execute(
        _INSERT, entry_id, now, actor, action, subject, dict(detail), prev_hash, row_hash
    )


def hash_of(prev_hash: bytes, values: Iterable[Any]) -> bytes:
    """SHA-256 of the hash before and the values as JSON with sorted keys."""
    canonical = msgspec.json.encode(list(values), order="sorted")
    return hashlib.sha256(prev_hash + canonical).digest()


def _is_intact(entry: AuditEntry) -> bool:
    values = (
        entry.entry_id,
        entry.occurred_at,
        entry.actor,
        entry.action,
        entry.subject,
        dict(entry.detail),
    )
    return hash_of(entry.prev_hash, values) == entry.row_hash


def _entry(row: asyncpg.Record) -> AuditEntry:
    return AuditEntry(**dict(row))
