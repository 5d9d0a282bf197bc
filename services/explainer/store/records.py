"""Explanations as they are looked up: by id, by request, by subject, by time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from mesh.errors import NotFound
from mesh.postgres import guard
from services.explainer.model.explanation import Group, Record, State
from services.explainer.model.subjects import SubjectKind, SubjectRef

if TYPE_CHECKING:
    import asyncpg

    from mesh.postgres import Pool

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = """e.explanation_id, subject_kind, subject_id, subject_state, state, trace_id, headline,
    group_id,
    (SELECT count(*) FROM explainer.explanation like_it
        WHERE like_it.group_id = e.group_id) AS group_size,
    (extract(epoch FROM e.create_time) * 1000000)::bigint AS create_us"""
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
    AND state IN ('running', 'done')"""
)
_LIST = f"""
SELECT {_COLUMNS}, NULL AS result, 0 AS last_sequence FROM explainer.explanation e
WHERE ($1::text IS NULL OR subject_kind = $1) AND ($2::text IS NULL OR subject_id = $2)
  AND ($3::text IS NULL OR state = $3)
  AND ($4::timestamptz IS NULL OR create_time >= $4)
  AND ($5::timestamptz IS NULL OR create_time < $5)
  AND ($6::timestamptz IS NULL OR (create_time, explanation_id) < ($6, $7::uuid))
  AND (NOT $8 OR group_id IS NULL OR group_id = explanation_id)
  AND ($9::uuid IS NULL OR group_id = $9)
ORDER BY create_time DESC, explanation_id DESC LIMIT $10
"""  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in the list, newest first: what comes after it is older."""

    create_us: int
    explanation_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which explanations to list; None means any. Times are Unix microseconds."""

    ref: SubjectRef | None = None
    state: State | None = None
    start_us: int | None = None
    end_us: int | None = None
    grouped: bool = False
    group_id: UUID | None = None


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

    async def list(self, wanted: Filter, after: Position | None, limit: int) -> list[Record]:
        """Up to `limit` explanations, newest first."""
        values = (
            wanted.ref.kind if wanted.ref else None,
            wanted.ref.id if wanted.ref else None,
            wanted.state,
            _time(wanted.start_us),
            _time(wanted.end_us),
            _time(after.create_us) if after else None,
            after.explanation_id if after else None,
            wanted.grouped,
            wanted.group_id,
        )
        with guard("list_explanations"):
            rows = await self._pool.fetch(_LIST, *values, limit)
        return [_record(row) for row in rows]

    async def _one(self, query: str, *values: object) -> Record | None:
        with guard("get_explanation"):
            row = await self._pool.fetchrow(query, *values)
        return _record(row) if row else None


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def _record(row: "asyncpg.Record") -> Record:
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
        group=Group(group_id=row["group_id"], size=row["group_size"]) if row["group_id"] else None,
    )
