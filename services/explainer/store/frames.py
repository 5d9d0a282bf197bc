"""The frames of explanations: only the owner appends, anyone reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from mesh.errors import NotFound
from mesh.postgres import guard
from services.explainer.batching import Batcher
from services.explainer.model.explanation import State, Verdict

if TYPE_CHECKING:
    import asyncpg

    from mesh.postgres import Pool

    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

CHANNEL = "explainer_explanation"
"""Where ends of explanations are notified of."""

_PAGE = 500
_LOCK = 0x4558504C
# The row lock makes a takeover wait for this transaction, and this one see a takeover before it.
_MINE = """
SELECT e.explanation_id FROM unnest($1::uuid[], $2::uuid[]) AS wanted (id, by)
JOIN explainer.explanation e ON e.explanation_id = id AND e.owner = by AND e.state = 'running'
ORDER BY e.explanation_id FOR NO KEY UPDATE OF e
"""
_APPEND = """
INSERT INTO explainer.frame (explanation_id, sequence, frame, holds_result)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::boolean[])
"""
# Last before the commit: cursors grow with every commit, and others wait for that long.
_ENTER_LOG = f"SELECT pg_advisory_xact_lock({_LOCK}), pg_notify('{CHANNEL}', '')"
_FINISH = """
UPDATE explainer.explanation e SET state = ended.state, verdict = ended.verdict,
    result = ended.result, headline = ended.headline, trace_id = ended.trace,
    finish_time = clock_timestamp(), cursor = nextval('explainer.explanation_cursor')
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::text[])
    AS ended (id, state, verdict, result, headline, trace)
WHERE e.explanation_id = ended.id
"""
# What failed or was cancelled replaces nothing: the finished one before it stands again.
_RESTORE = """
UPDATE explainer.explanation SET superseded = false WHERE explanation_id IN (
    SELECT DISTINCT ON (e.explanation_id) p.explanation_id
    FROM explainer.explanation p JOIN explainer.explanation e
        USING (subject_kind, subject_id, subject_state)
    WHERE e.explanation_id = ANY($1::uuid[]) AND p.superseded AND p.state = 'done'
    ORDER BY e.explanation_id, p.revision DESC)
"""
_STATE = "SELECT state FROM explainer.explanation WHERE explanation_id = $1"
_AFTER = """
SELECT e.state, CASE WHEN f.holds_result THEN f.frame || e.result ELSE f.frame END AS frame
FROM explainer.explanation e
LEFT JOIN explainer.frame f ON f.explanation_id = e.explanation_id AND f.sequence > $2
WHERE e.explanation_id = $1 ORDER BY f.sequence LIMIT $3
"""


class OwnershipLostError(Exception):
    """Another run has taken the explanation over: stop, and write nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalState:
    """What is committed together with the last frame."""

    state: State
    verdict: Verdict
    result: bytes
    headline: bytes
    trace_id: str


@dataclass(frozen=True, slots=True)
class _FrameRun:
    """Frames of one explanation that follow each other; the last one with `ending`, if any."""

    explanation_id: UUID
    owner: UUID
    after: int
    frames: Sequence[bytes]
    ending: FinalState | None = None

    def rows(self) -> Iterator[tuple[UUID, int, bytes, bool]]:
        """Explanation, sequence, frame, and whether the result follows."""
        last = self.after + len(self.frames)
        for sequence, frame in enumerate(self.frames, start=self.after + 1):
            yield self.explanation_id, sequence, frame, bool(self.ending) and sequence == last


class Frames:
    """Appends in order of sequence, without holes, and reads on from any sequence."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool
        self._writing = Batcher(self._write)

    async def append(
        self, explanation_id: UUID, owner: UUID, after: int, frames: Sequence[bytes]
    ) -> None:
        """Makes frames `after + 1`, `after + 2`, … durable.

        Raises:
            OwnershipLostError: `owner` no longer runs it.
        """
        await self._writing.do(_FrameRun(explanation_id, owner, after, frames))

    async def finish(
        self,
        explanation_id: UUID,
        owner: UUID,
        after: int,
        frames: Sequence[bytes],
        ending: FinalState,
    ) -> None:
        """Commits the last frames together with the end.

        The very last one goes on with the result, which is stored once.

        Raises:
            OwnershipLostError: `owner` no longer runs it, or it is finished already.
        """
        await self._writing.do(_FrameRun(explanation_id, owner, after, frames, ending))

    async def _write(self, parts: Sequence[_FrameRun]) -> list[Exception | None]:
        """In one transaction; those of a lost explanation are left out."""
        ids = [each.explanation_id for each in parts]
        with guard("write_frames"):
            async with self._pool.acquire() as connection, connection.transaction():
                rows = await connection.fetch(_MINE, ids, [each.owner for each in parts])
                mine = {row["explanation_id"] for row in rows}
                kept = [each for each in parts if each.explanation_id in mine]
                if added := [row for each in kept for row in each.rows()]:
                    await connection.execute(_APPEND, *zip(*added, strict=True))
                if ended := [(p.explanation_id, p.ending) for p in kept if p.ending]:
                    await _end(connection, ended)
        return [None if id in mine else OwnershipLostError() for id in ids]

    async def state(self, explanation_id: UUID) -> State:
        """Where an explanation stands.

        Raises:
            NotFound: There is no such explanation.
        """
        with guard("read_state"):
            found = await self._pool.fetchval(_STATE, explanation_id)
        if found is None:
            raise NotFound("explanation", str(explanation_id))
        return State(found)

    async def after(self, explanation_id: UUID, sequence: int) -> tuple[list[bytes], bool]:
        """The next frames after `sequence`, and whether those are the last there will ever be.

        Raises:
            NotFound: There is no such explanation.
        """
        with guard("read_frames"):
            rows = await self._pool.fetch(_AFTER, explanation_id, sequence, _PAGE)
        if not rows:
            raise NotFound("explanation", str(explanation_id))
        frames = [row["frame"] for row in rows if row["frame"] is not None]
        return frames, rows[0]["state"] != State.RUNNING and len(rows) < _PAGE


async def _end(connection: "Connection", ended: Sequence[tuple[UUID, FinalState]]) -> None:
    await connection.execute(_ENTER_LOG)
    values = [(id, e.state, e.verdict, e.result, e.headline, e.trace_id) for id, e in ended]
    await connection.execute(_FINISH, *zip(*values, strict=True))
    if undone := [id for id, ending in ended if ending.state is not State.DONE]:
        await connection.execute(_RESTORE, undone)
