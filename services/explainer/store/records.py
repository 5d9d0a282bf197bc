"""Explanations as they are looked up: by id, by request, by subject, by time, and as they end."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from mesh.errors import NotFound
from mesh.notices import Notices, listening
from mesh.postgres import guard
from services.explainer.model.explanation import Group, Record, State
from services.explainer.model.subjects import SubjectKind, SubjectRef
from services.explainer.store.frames import CHANNEL

if TYPE_CHECKING:
    import asyncpg

    from mesh.postgres import Pool

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = """e.explanation_id, subject_kind, subject_id, subject_state, state, trace_id, headline,
    group_id, coalesce(cursor, 0) AS cursor,
    (extract(epoch FROM e.create_time) * 1000000)::bigint AS create_us"""
_BRIEF = f"SELECT {_COLUMNS}, NULL AS result, 0 AS last_sequence"
_ONE = f"""
SELECT {_COLUMNS}, result, (SELECT coalesce(max(sequence), 0) FROM explainer.frame f
    WHERE f.explanation_id = e.explanation_id) AS last_sequence
FROM explainer.explanation e
"""  # noqa: S608
_BY_ID = _ONE + "WHERE explanation_id = $1"
_BY_REQUEST = _ONE + "JOIN explainer.request r USING (explanation_id) WHERE request_id = $1"
_BY_SUBJECT = (
    _ONE
    + """WHERE subject_kind = $1 AND subject_id = $2 AND subject_state = $3
    AND state IN ('running', 'done') AND NOT superseded"""
)
_SIZES = """
SELECT group_id, count(DISTINCT (subject_kind, subject_id)) AS size FROM explainer.explanation
WHERE group_id = ANY($1::uuid[]) GROUP BY group_id
"""
_OF_ALL = f"{_BRIEF} FROM explainer.explanation e"
_OF_SUBJECTS = f"""
{_BRIEF} FROM unnest($10::text[], $11::text[]) AS wanted (kind, id)
JOIN explainer.explanation e ON subject_kind = wanted.kind AND subject_id = wanted.id
"""
_NEWEST_FIRST = """
WHERE ($1::text IS NULL OR state = $1)
  AND ($2::timestamptz IS NULL OR create_time >= $2)
  AND ($3::timestamptz IS NULL OR create_time < $3)
  AND ($4::timestamptz IS NULL OR (create_time, explanation_id) < ($4, $5::uuid))
  AND (NOT $6 OR group_id IS NULL OR group_id = explanation_id)
  AND ($7::uuid IS NULL OR group_id = $7)
  AND NOT ($8 AND superseded)
ORDER BY create_time DESC, explanation_id DESC LIMIT $9
"""
_AFTER = f"{_BRIEF} FROM explainer.explanation e WHERE cursor > $1 ORDER BY cursor LIMIT $2"
_DROPPED = "SELECT coalesce(max(dropped), 0) FROM explainer.explanation_log"
_LAST = """
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM explainer.explanation_cursor
"""
_HEAD = "SELECT coalesce(max(cursor), 0) FROM explainer.explanation WHERE cursor IS NOT NULL"
_LAST_CURSOR = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in the list, newest first: what comes after it is older."""

    create_us: int
    explanation_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which explanations to list; None means any. Times are Unix microseconds.

    Attributes:
        refs: Subjects, each once; () for all.
        current: Without those that a newer revision replaced.
    """

    refs: tuple[SubjectRef, ...] = ()
    state: State | None = None
    start_us: int | None = None
    end_us: int | None = None
    grouped: bool = False
    group_id: UUID | None = None
    current: bool = False


class Records:
    """Reads explanations."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def get(self, explanation_id: UUID) -> Record:
        """One explanation.

        Raises:
            NotFound: There is none of that id.
        """
        found = await self._one(_BY_ID, explanation_id)
        if found is None:
            raise NotFound("explanation", str(explanation_id))
        return found

    async def by_request(self, request_id: UUID) -> Record | None:
        """What the request id stands for."""
        return await self._one(_BY_REQUEST, request_id)

    async def by_subject(self, ref: SubjectRef, state: str) -> Record | None:
        """The running or finished explanation of a subject in a state."""
        return await self._one(_BY_SUBJECT, ref.kind, ref.id, state)

    async def list(self, wanted: Filter, after: Position | None, limit: int) -> Sequence[Record]:
        """Up to `limit` explanations, newest first."""
        values = (
            wanted.state,
            _time(wanted.start_us),
            _time(wanted.end_us),
            _time(after.create_us) if after else None,
            after.explanation_id if after else None,
            wanted.grouped,
            wanted.group_id,
            wanted.current,
            limit,
        )
        subjects = [ref.kind for ref in wanted.refs], [ref.id for ref in wanted.refs]
        with guard("list_explanations"):
            if wanted.refs:
                rows = await self._pool.fetch(_OF_SUBJECTS + _NEWEST_FIRST, *values, *subjects)
            else:
                rows = await self._pool.fetch(_OF_ALL + _NEWEST_FIRST, *values)
            return await self._records(rows)

    async def head(self) -> int:
        """Cursor of the explanation that ended last; 0 when there is none."""
        with guard("explanation_head"):
            return int(await self._pool.fetchval(_HEAD))

    async def last(self) -> int:
        """No cursor above it was ever given."""
        with guard("explanation_last"):
            return int(await self._pool.fetchval(_LAST))

    async def dropped(self) -> int:
        """Retention took some entries up to here."""
        with guard("explanation_dropped"):
            return int(await self._pool.fetchval(_DROPPED))

    async def after(self, cursor: int, limit: int) -> Sequence[Record]:
        """The first `limit` explanations that ended after `cursor`, in the order of commits.

        Their groups are not counted: their headlines tell the size at their ends.
        """
        with guard("explanations_after"):
            rows = await self._pool.fetch(_AFTER, min(cursor, _LAST_CURSOR), limit)
        return [_record(row, 0) for row in rows]

    def listening(self) -> AbstractAsyncContextManager[Notices]:
        """Hears of ends while the block runs."""
        return listening(self._pool, CHANNEL)

    async def _one(self, query: str, *values: object) -> Record | None:
        with guard("get_explanation"):
            rows = await self._pool.fetch(query, *values)
            found = await self._records(rows)
        return found[0] if found else None

    async def _records(self, rows: "Sequence[asyncpg.Record]") -> "Sequence[Record]":
        """With the sizes of their groups by now, each group counted once."""
        ids = {row["group_id"] for row in rows} - {None}
        sizes = await self._pool.fetch(_SIZES, list(ids)) if ids else []
        size_by_id = {row["group_id"]: row["size"] for row in sizes}
        return [_record(row, size_by_id.get(row["group_id"], 0)) for row in rows]


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def _record(row: "asyncpg.Record", group_size: int) -> Record:
    return Record(
        explanation_id=row["explanation_id"],
        ref=SubjectRef(kind=SubjectKind(row["subject_kind"]), id=row["subject_id"]),
        subject_state=row["subject_state"],
        state=State(row["state"]),
        result=row["result"],
        headline=row["headline"],
        trace_id=row["trace_id"],
        last_sequence=row["last_sequence"],
        create_us=row["create_us"],
        group=Group(group_id=row["group_id"], size=group_size) if row["group_id"] else None,
        cursor=row["cursor"],
    )
