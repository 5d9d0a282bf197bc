"""What people tell about a system: what they changed, and who calls whom."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mesh import audit
from mesh.postgres import guard
from services.explainer.model.case import Change

if TYPE_CHECKING:
    import asyncpg

    from mesh.postgres import Pool

Edge = tuple[str, str]
ChangePlace = tuple[int, str]
"""A change in the list, newest first: its time in milliseconds, and its id."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = """change_id, kind, service, text, files, diff,
    (extract(epoch FROM change_time) * 1000)::bigint AS at_ms"""
_WRITE = """
INSERT INTO explainer.change (change_id, kind, service, change_time, text, files, diff)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (change_id) DO UPDATE SET kind = $2, service = $3, change_time = $4, text = $5,
    files = $6, diff = $7
"""
_BETWEEN = f"""
SELECT {_COLUMNS} FROM explainer.change WHERE change_time BETWEEN $1 AND $2
ORDER BY change_time DESC, change_id LIMIT $3
"""  # noqa: S608
_LIST = """
SELECT change_id, kind, service, text, '{}'::text[] AS files, '' AS diff,
    (extract(epoch FROM change_time) * 1000)::bigint AS at_ms
FROM explainer.change
WHERE ($1::timestamptz IS NULL OR change_time >= $1)
  AND ($2::timestamptz IS NULL OR change_time < $2)
  AND (cardinality($3::text[]) = 0 OR service = ANY($3)) AND ($4 = '' OR kind = $4)
  AND ($5::timestamptz IS NULL OR (change_time, change_id) < ($5, $6))
ORDER BY change_time DESC, change_id DESC LIMIT $7
"""
_ANY_CHANGE = "SELECT EXISTS (SELECT FROM explainer.change)"
_ONE_WRITER = "SELECT pg_advisory_xact_lock(hashtext('explainer.call_edge'), hashtext($1))"
_FORGET = "DELETE FROM explainer.call_edge WHERE source = $1"
_COUNT = "SELECT count(*) FROM explainer.call_edge WHERE source = $1"
_TELL = """
INSERT INTO explainer.call_edge (source, caller, callee)
SELECT $1, caller, callee FROM unnest($2::text[], $3::text[]) AS told(caller, callee)
"""
_EDGES = "SELECT DISTINCT caller, callee FROM explainer.call_edge"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFilter:
    """Which changes to list; None and empty mean any. Times are Unix milliseconds.

    Attributes:
        end_ms: They took effect before it.
    """

    start_ms: int | None = None
    end_ms: int | None = None
    services: tuple[str, ...] = ()
    kind: str = ""


class Context:
    """Keeps changes and calls between services."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def write_change(self, change: Change) -> None:
        """Keeps a change; one with the same id is overwritten."""
        values = (change.text, list(change.files), change.diff)
        with guard("write_change"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(
                    _WRITE, change.id, change.kind, change.service, _time(change.at_ms), *values
                )
                written = {"kind": change.kind, "service": change.service, "text": change.text}
                await audit.append(
                    connection,
                    "explainer",
                    action="change.write",
                    subject=change.id,
                    detail=audit.changes(None, written),
                )

    async def changes(self, start_ms: int, end_ms: int, limit: int) -> list[Change]:
        """Changes that took effect in that time, newest first."""
        with guard("read_changes"):
            rows = await self._pool.fetch(_BETWEEN, _time(start_ms), _time(end_ms), limit)
        return [_change(row) for row in rows]

    async def list_changes(
        self, wanted: ChangeFilter, after: ChangePlace | None, limit: int
    ) -> list[Change]:
        """Up to `limit` changes behind `after`, newest first, without files and diff."""
        at_ms, change_id = after or (None, "")
        with guard("list_changes"):
            rows = await self._pool.fetch(
                _LIST,
                _maybe_time(wanted.start_ms),
                _maybe_time(wanted.end_ms),
                wanted.services,
                wanted.kind,
                _maybe_time(at_ms),
                change_id,
                limit,
            )
        return [_change(row) for row in rows]

    async def knows_changes(self) -> bool:
        """Whether anybody ever reported one."""
        with guard("know_changes"):
            return bool(await self._pool.fetchval(_ANY_CHANGE))

    async def write_calls(self, source: str, calls: Iterable[Edge]) -> int:
        """Replaces what a source told; returns how many calls it tells now."""
        edges = sorted(set(calls))
        callers, callees = [each[0] for each in edges], [each[1] for each in edges]
        with guard("write_calls"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_ONE_WRITER, source)
                before = await connection.fetchval(_COUNT, source)
                await connection.execute(_FORGET, source)
                await connection.execute(_TELL, source, callers, callees)
                detail = audit.changes({"calls": before}, {"calls": len(edges)})
                await audit.append(
                    connection,
                    "explainer",
                    action="topology.write",
                    subject=source,
                    detail=detail,
                )
        return len(edges)

    async def calls(self) -> frozenset[Edge]:
        """All calls that any source tells, as (caller, callee)."""
        with guard("read_calls"):
            rows = await self._pool.fetch(_EDGES)
        return frozenset((row["caller"], row["callee"]) for row in rows)


def _time(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=max(0, milliseconds))


def _maybe_time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _time(milliseconds)


def _change(row: "asyncpg.Record") -> Change:
    return Change(
        evidence_id="",
        id=row["change_id"],
        kind=row["kind"],
        service=row["service"],
        at_ms=row["at_ms"],
        text=row["text"],
        files=tuple(row["files"]),
        diff=row["diff"],
    )
