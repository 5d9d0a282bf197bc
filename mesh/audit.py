"""The audit log of a service: what callers changed, chained by hashes, in the service's own schema.

An entry is committed with the change that it tells of. Each row's hash covers the row and the hash
before it, so that a changed or missing row shows; that the end is missing shows in the gateway's
log, where `mesh.clients.audit` sends each entry on.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mesh.auth import current_principal
from mesh.errors import Unauthenticated
from mesh.postgres import guard

if TYPE_CHECKING:
    import asyncpg

    from mesh.postgres import Pool

    Connection = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )

GENESIS: Final = bytes(32)
"""What the first row names as the hash before it."""

_LOCK_KEY: Final = 0x41554449
_VALUE_CHARACTERS: Final = 2000

_LOCK: Final = "SELECT pg_advisory_xact_lock($1, hashtext($2))"
_HEAD: Final = "SELECT entry_id, row_hash FROM {schema}.audit ORDER BY entry_id DESC LIMIT 1"
_INSERT: Final = "INSERT INTO {schema}.audit VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
_AFTER: Final = "SELECT * FROM {schema}.audit WHERE entry_id > $1 ORDER BY entry_id LIMIT $2"
_BEFORE: Final = """
    SELECT * FROM {schema}.audit WHERE entry_id < $1 ORDER BY entry_id DESC LIMIT $2"""

Detail = Mapping[str, str | Mapping[str, str]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change of state. `row_hash` covers everything here and `prev_hash`."""

    entry_id: int
    occurred_at: datetime
    actor: str
    action: str
    subject: str
    detail: Detail
    prev_hash: bytes
    row_hash: bytes

    @property
    def is_intact(self) -> bool:
        """Whether the hash is that of the row."""
        return row_hash(self) == self.row_hash


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of a chain; 0 and `GENESIS` for none."""

    entry_id: int = 0
    row_hash: bytes = GENESIS


class AuditLog:
    """The chain in one schema."""

    def __init__(self, pool: "Pool", schema: str) -> None:
        """`schema` has a table `audit`."""
        self._pool = pool
        self._schema = schema

    async def newest(self, before_entry_id: int, limit: int) -> list[AuditEntry]:
        """Entries below `before_entry_id`, newest first."""
        with guard("list_audit"):
            rows = await self._pool.fetch(self._sql(_BEFORE), before_entry_id, limit)
        return [AuditEntry(**dict(row)) for row in rows]

    async def after(self, entry_id: int, limit: int) -> list[AuditEntry]:
        """Entries above `entry_id`, oldest first."""
        with guard("read_audit"):
            rows = await self._pool.fetch(self._sql(_AFTER), entry_id, limit)
        return [AuditEntry(**dict(row)) for row in rows]

    async def head(self) -> Head:
        """The newest entry."""
        with guard("read_audit"):
            row = await self._pool.fetchrow(self._sql(_HEAD))
        return Head(*row) if row else Head()

    async def first_broken(self) -> int | None:
        """Number of the first entry that does not follow from the one before; None: all do.

        Cost: reads the whole log.
        """
        before = Head()
        while entries := await self.after(before.entry_id, 1000):
            for entry in entries:
                if Head(entry.entry_id - 1, entry.prev_hash) != before or not entry.is_intact:
                    return entry.entry_id
                before = Head(entry.entry_id, entry.row_hash)
        return None

    def _sql(self, query: str) -> str:
        return query.format(schema=self._schema)


async def append(
    connection: "Connection",
    schema: str,
    *,
    action: str,
    subject: str,
    detail: Detail,
    actor: str | None = None,
    occurred_at: datetime | None = None,
) -> Head:
    """Appends one entry in the transaction of the change itself; entries wait for each other.

    Args:
        connection: In that transaction.
        schema: Whose chain it is.
        action: What was done: `rule.update`.
        subject: To what.
        detail: `changes` of its fields, or what else is to be known.
        actor: Who did it; the caller of the current rpc when not given, or the service itself.
        occurred_at: When; now when not given.
    """
    await connection.execute(_LOCK, _LOCK_KEY, schema)
    row = await connection.fetchrow(_HEAD.format(schema=schema))
    head = Head(*row) if row else Head()
    entry = AuditEntry(
        entry_id=head.entry_id + 1,
        occurred_at=occurred_at or datetime.now(UTC),
        actor=actor or _caller(schema),
        action=action,
        subject=subject,
        detail=detail,
        prev_hash=head.row_hash,
        row_hash=b"",
    )
    hashed = row_hash(entry)
    await connection.execute(_INSERT.format(schema=schema), *_values(entry), head.row_hash, hashed)
    return Head(entry.entry_id, hashed)


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Detail:
    """The fields that differ, as texts; None for what was not there, or is there no more."""
    old, new = before or {}, after or {}
    differing = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    detail: dict[str, str | Mapping[str, str]] = {"outcome": "done"}
    if before is not None:
        detail["before"] = {name: _text(old[name]) for name in differing if name in old}
    if after is not None:
        detail["after"] = {name: _text(new[name]) for name in differing if name in new}
    return detail


def row_hash(entry: AuditEntry) -> bytes:
    """SHA-256 of the hash before and the values as JSON with sorted keys."""
    canonical = msgspec.json.encode(list(_values(entry)), order="sorted")
    return hashlib.sha256(entry.prev_hash + canonical).digest()


def _values(entry: AuditEntry) -> tuple[Any, ...]:
    return (
        entry.entry_id,
        entry.occurred_at,
        entry.actor,
        entry.action,
        entry.subject,
        dict(entry.detail),
    )


def _caller(schema: str) -> str:
    try:
        return current_principal().subject
    except Unauthenticated:
        return f"service:{schema}"


def _text(value: Any) -> str:
    """As JSON, but for texts: what comes back from the database must have the same hash."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text.replace("\x00", "\ufffd")[:_VALUE_CHARACTERS]
