"""Who runs which explanation. Leases are measured by the clock of the database alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from mesh.errors import AlreadyExists, Unavailable
from mesh.postgres import guard
from services.explainer.model.explanation import Lease
from services.explainer.model.subjects import SubjectKind, SubjectRef

if TYPE_CHECKING:
    import asyncpg

    from mesh.postgres import Pool

    Connection = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )

_COLUMNS = """explanation_id, owner, subject_kind, subject_id, subject_state, traceparent, attempt,
    revision, (SELECT p.headline FROM explainer.explanation p
        WHERE p.subject_kind = explanation.subject_kind AND p.subject_id = explanation.subject_id
          AND p.subject_state = explanation.subject_state AND p.superseded
        ORDER BY p.revision DESC LIMIT 1) AS before,
    (extract(epoch FROM create_time) * 1000000)::bigint AS create_us"""
_BEGIN = f"""
INSERT INTO explainer.explanation (explanation_id, subject_kind, subject_id, subject_state, state,
    verdict, trace_id, traceparent, owner, lease_until, revision)
VALUES ($1, $2, $3, $4, 'running', '', split_part($5, '-', 2), $5, $6, now() + $7 * interval '1 s',
    1 + coalesce((SELECT max(revision) FROM explainer.explanation
        WHERE subject_kind = $2 AND subject_id = $3 AND subject_state = $4 AND superseded), 0))
ON CONFLICT (subject_kind, subject_id, subject_state)
    WHERE state IN ('running', 'done') AND NOT superseded DO NOTHING
RETURNING {_COLUMNS}
"""  # noqa: S608
_LIVING = """
SELECT explanation_id FROM explainer.explanation
WHERE subject_kind = $1 AND subject_id = $2 AND subject_state = $3 AND state IN ('running', 'done')
    AND NOT superseded
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
_RENEW = """
UPDATE explainer.explanation SET lease_until = now() + $2 * interval '1 s'
WHERE owner = ANY($1::uuid[]) AND state = 'running' RETURNING owner
"""
_RELEASE = """
UPDATE explainer.explanation SET lease_until = now() + $2 * interval '1 s'
WHERE owner = ANY($1::uuid[]) AND state = 'running'
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


class Leases:
    """Begins explanations, each subject and state once, and hands them on when their owner dies."""

    def __init__(self, pool: "Pool", *, lease_s: float) -> None:
        """A lease that is not renewed for `lease_s` may be taken over."""
        self._pool = pool
        self._lease_s = lease_s

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
        with guard("begin"):
            if request_id is None and not anew:
                return await self._begin(self._pool, ref, state, traceparent)
            async with self._pool.acquire() as connection, connection.transaction():
                if anew:
                    await connection.execute(_SUPERSEDE, ref.kind, ref.id, state)
                found, lease = await self._begin(connection, ref, state, traceparent)
                if request_id is not None:
                    await _remember(connection, request_id, found)
                return found, lease

    async def renew(self, owners: Sequence[UUID]) -> set[UUID]:
        """Extends the leases of those owners that still hold theirs, and names them."""
        with guard("renew"):
            rows = await self._pool.fetch(_RENEW, list(owners), self._lease_s)
        return {row["owner"] for row in rows}

    async def release(self, owners: Sequence[UUID], *, after_s: float = 0.0) -> None:
        """Lets others take over, `after_s` from now."""
        with guard("release"):
            await self._pool.execute(_RELEASE, list(owners), after_s)

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

    async def _begin(
        self, connection: "Connection | Pool", ref: SubjectRef, state: str, traceparent: str
    ) -> tuple[UUID, Lease | None]:
        subject = (ref.kind, ref.id, state)
        new = (uuid4(), *subject, traceparent, uuid4(), self._lease_s)
        row = await connection.fetchrow(_BEGIN, *new)
        if row is not None:
            return row["explanation_id"], _lease(row, 0)
        found = await connection.fetchval(_LIVING, *subject)
        if found is None:
            raise Unavailable("the explanation failed at this moment: try again")
        return found, None


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
