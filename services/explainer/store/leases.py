"""Who runs which explanation. Leases are measured by the clock of the database alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from mesh.errors import AlreadyExists, Unavailable
from mesh.postgres import guard
from services.explainer.batching import Batcher
from services.explainer.model.explanation import Lease
from services.explainer.model.subjects import SubjectKind, SubjectRef

if TYPE_CHECKING:
    import asyncpg

    from mesh.postgres import Pool

    Connection = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )

_Begun = tuple[UUID, Lease | None]

_COLUMNS = """explanation_id, owner, subject_kind, subject_id, subject_state, traceparent, attempt,
    revision, (SELECT p.headline FROM explainer.explanation p
        WHERE p.subject_kind = explanation.subject_kind AND p.subject_id = explanation.subject_id
          AND p.subject_state = explanation.subject_state AND p.superseded
        ORDER BY p.revision DESC LIMIT 1) AS before,
    (extract(epoch FROM create_time) * 1000000)::bigint AS create_us"""
_BEGIN = f"""
INSERT INTO explainer.explanation (explanation_id, subject_kind, subject_id, subject_state, state,
    verdict, trace_id, traceparent, owner, lease_until, revision)
SELECT new.id, kind, subject, new.state, 'running', '', split_part(trail, '-', 2), trail, new.owner,
    now() + $7 * interval '1 s',
    1 + coalesce((SELECT max(e.revision) FROM explainer.explanation e WHERE e.subject_kind = kind
        AND e.subject_id = subject AND e.subject_state = new.state AND e.superseded), 0)
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[])
    AS new (id, kind, subject, state, trail, owner)
ON CONFLICT (subject_kind, subject_id, subject_state)
    WHERE state IN ('running', 'done') AND NOT superseded DO NOTHING
RETURNING {_COLUMNS}
"""  # noqa: S608
_LIVING = """
SELECT e.explanation_id, subject_kind, subject_id, subject_state
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (kind, subject, state_then)
JOIN explainer.explanation e
    ON subject_kind = kind AND subject_id = subject AND subject_state = state_then
WHERE state IN ('running', 'done') AND NOT superseded
"""
_SUPERSEDE = """
UPDATE explainer.explanation SET superseded = true
WHERE subject_kind = $1 AND subject_id = $2 AND subject_state = $3 AND state = 'done'
    AND NOT superseded
"""
_REMEMBER = """
INSERT INTO explainer.request AS known (request_id, explanation_id) VALUES ($1, $2)
ON CONFLICT (request_id) DO UPDATE SET explanation_id = known.explanation_id
RETURNING explanation_id
"""
# Who locks several rows that run takes them by their ids, so that nobody waits in a circle.
_LEASE = """
UPDATE explainer.explanation SET lease_until = now() + $2 * interval '1 s'
WHERE explanation_id = ANY(ARRAY(
    SELECT explanation_id FROM explainer.explanation
    WHERE owner = ANY($1::uuid[]) AND state = 'running'
    ORDER BY explanation_id FOR NO KEY UPDATE))
RETURNING owner
"""
# What only waits for a dependency was no attempt: however long that takes, it is not given up.
_PUT_OFF = """
UPDATE explainer.explanation SET lease_until = now() + $2 * interval '1 s', attempt = attempt - 1
WHERE owner = $1 AND state = 'running'
"""
# ARRAY runs the subquery once; a join may run it again and take over more than LIMIT.
_TAKE_OVER = f"""
UPDATE explainer.explanation SET owner = gen_random_uuid(), attempt = attempt + 1,
    lease_until = now() + $2 * interval '1 s'
WHERE explanation_id = ANY(ARRAY(
    SELECT explanation_id FROM explainer.explanation
    WHERE state = 'running' AND lease_until < now()
    ORDER BY lease_until LIMIT $1 FOR UPDATE SKIP LOCKED))
RETURNING {_COLUMNS}
"""  # noqa: S608
_SEIZE = f"""
UPDATE explainer.explanation
SET owner = gen_random_uuid(), lease_until = now() + $2 * interval '1 s'
WHERE explanation_id = $1 AND state = 'running' RETURNING {_COLUMNS}
"""  # noqa: S608
_LAST_SEQUENCES = """
SELECT explanation_id, max(sequence) AS last FROM explainer.frame
WHERE explanation_id = ANY($1::uuid[]) GROUP BY explanation_id
"""


@dataclass(frozen=True, slots=True)
class _New:
    """What is to be begun unless it was."""

    ref: SubjectRef
    state: str
    traceparent: str

    @property
    def key(self) -> tuple[str, str, str]:
        """The subject in its state."""
        return self.ref.kind, self.ref.id, self.state


class Leases:
    """Begins explanations, each subject and state once, and hands them on when their owner dies."""

    def __init__(self, pool: "Pool", *, lease_s: float) -> None:
        """A lease that is not renewed for `lease_s` may be taken over."""
        self._pool = pool
        self._lease_s = lease_s
        self._beginning = Batcher(self._begin_many)

    async def begin(
        self,
        ref: SubjectRef,
        state: str,
        *,
        request_id: UUID | None,
        traceparent: str,
        anew: bool = False,
    ) -> tuple[UUID, Lease | None]:
        """The explanation of this subject and state, and the right to run it if it is new.

        The request id stands for it from then on. `anew` makes a new revision of a finished one.

        Raises:
            AlreadyExists: REQUEST_ID_REUSED, it stands for another explanation.
        """
        new = _New(ref, state, traceparent)
        if request_id is None and not anew:
            return await self._beginning.do(new)
        with guard("begin"):
            async with self._pool.acquire() as connection, connection.transaction():
                if anew:
                    await connection.execute(_SUPERSEDE, *new.key)
                (begun,) = await self._begin(connection, [new])
                if isinstance(begun, Unavailable):
                    raise begun
                found, lease = begun
                if request_id is not None:
                    await _remember(connection, request_id, found)
                return found, lease

    async def renew(self, owners: Sequence[UUID]) -> set[UUID]:
        """Extends the leases of those owners that still hold theirs, and names them."""
        with guard("renew"):
            rows = await self._pool.fetch(_LEASE, list(owners), self._lease_s)
        return {row["owner"] for row in rows}

    async def release(self, owners: Sequence[UUID], *, after_s: float = 0.0) -> None:
        """Lets others take over, `after_s` from now."""
        with guard("release"):
            await self._pool.fetch(_LEASE, list(owners), after_s)

    async def put_off(self, owner: UUID, *, after_s: float) -> None:
        """The same, for a run that could not be made now; it does not count as an attempt."""
        with guard("put_off"):
            await self._pool.execute(_PUT_OFF, owner, after_s)

    async def take_over(self, limit: int) -> list[Lease]:
        """Up to `limit` explanations whose lease ran out, each under a new owner."""
        with guard("take_over"):
            async with self._pool.acquire() as connection, connection.transaction():
                rows = await connection.fetch(_TAKE_OVER, limit, self._lease_s)
                ids = [row["explanation_id"] for row in rows]
                lasts = await connection.fetch(_LAST_SEQUENCES, ids) if ids else []
        last_by_id = {row["explanation_id"]: row["last"] for row in lasts}
        return [_lease(row, last_by_id.get(row["explanation_id"], 0)) for row in rows]

    async def seize(self, explanation_id: UUID) -> Lease | None:
        """Takes a running explanation from whoever runs it; None when none of that id runs."""
        with guard("seize"):
            async with self._pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(_SEIZE, explanation_id, self._lease_s)
                if row is None:
                    return None
                lasts = await connection.fetch(_LAST_SEQUENCES, [explanation_id])
        return _lease(row, lasts[0]["last"] if lasts else 0)

    async def _begin_many(self, new: "Sequence[_New]") -> "list[_Begun | Exception]":
        with guard("begin"):
            return [*await self._begin(self._pool, new)]

    async def _begin(
        self, connection: "Connection | Pool", new: "Sequence[_New]"
    ) -> "list[_Begun | Unavailable]":
        """Of each the explanation, with the lease where it is new."""
        subjects = sorted({each.key: each.traceparent for each in new}.items())
        ids, owners = ([uuid4() for _ in subjects] for _ in range(2))
        kinds, names, states = zip(*(key for key, _ in subjects), strict=True)
        trails = [trail for _, trail in subjects]
        values = (ids, kinds, names, states, trails, owners, self._lease_s)
        begun = {_key(row): _lease(row, 0) for row in await connection.fetch(_BEGIN, *values)}
        found = {key: lease.explanation_id for key, lease in begun.items()}
        if len(found) < len(subjects):
            rows = await connection.fetch(_LIVING, kinds, names, states)
            found |= {_key(row): row["explanation_id"] for row in rows}
        failed = Unavailable("the explanation failed at this moment: try again")
        return [
            (found[each.key], begun.pop(each.key, None)) if each.key in found else failed
            for each in new
        ]


def _key(row: "asyncpg.Record") -> tuple[str, str, str]:
    return row["subject_kind"], row["subject_id"], row["subject_state"]


async def _remember(connection: "Connection", request_id: UUID, found: UUID) -> None:
    if await connection.fetchval(_REMEMBER, request_id, found) != found:
        raise request_id_reused(request_id)


def request_id_reused(request_id: UUID) -> AlreadyExists:
    """The error of a request id that was used for another subject."""
    return AlreadyExists(
        "request_id was used for another subject: make a new one",
        reason="REQUEST_ID_REUSED",
        metadata={"request_id": str(request_id)},
    )


def _lease(row: "asyncpg.Record", last_sequence: int) -> Lease:
    return Lease(
        explanation_id=row["explanation_id"],
        owner=row["owner"],
        ref=SubjectRef(kind=SubjectKind(row["subject_kind"]), id=row["subject_id"]),
        subject_state=row["subject_state"],
        traceparent=row["traceparent"],
        attempt=row["attempt"],
        last_sequence=last_sequence,
        create_us=row["create_us"],
        revision=row["revision"],
        before=row["before"],
    )
