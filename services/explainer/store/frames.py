"""The frames of explanations: only the owner appends, anyone reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from mesh.errors import NotFound
from mesh.postgres import guard
from services.explainer.model.explanation import State, Verdict

if TYPE_CHECKING:
    import asyncpg

    from mesh.postgres import Pool

    Connection = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )

_PAGE = 500
# The row lock makes a takeover wait for this transaction, and this one see a takeover before it.
_STILL_MINE = """
SELECT 1 FROM explainer.explanation
WHERE explanation_id = $1 AND owner = $2 AND state = 'running' FOR SHARE
"""
_APPEND = """
INSERT INTO explainer.frame (explanation_id, sequence, frame)
SELECT $1, $2 + place, frame FROM unnest($3::bytea[]) WITH ORDINALITY AS new(frame, place)
"""
_FINISH = """
UPDATE explainer.explanation SET state = $3, verdict = $4, result = $5, headline = $6,
    trace_id = $7, finish_time = clock_timestamp()
WHERE explanation_id = $1 AND owner = $2 AND state = 'running' RETURNING 1
"""
_AFTER = """
SELECT e.state, f.frame FROM explainer.explanation e
LEFT JOIN explainer.frame f ON f.explanation_id = e.explanation_id AND f.sequence > $2
WHERE e.explanation_id = $1 ORDER BY f.sequence LIMIT $3
"""


class OwnershipLostError(Exception):
    """Another run has taken the explanation over: stop, and write nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is committed together with the last frame."""

    state: State
    verdict: Verdict
    result: bytes
    headline: bytes
    trace_id: str


class Frames:
    """Appends in order of sequence, without holes, and reads on from any sequence."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def append(
        self, explanation_id: UUID, owner: UUID, after: int, frames: Sequence[bytes]
    ) -> None:
        """Makes frames `after + 1`, `after + 2`, … durable.

        Raises:
            OwnershipLostError: `owner` no longer runs it.
        """
        with guard("append_frames"):
            async with self._pool.acquire() as connection, connection.transaction():
                if await connection.fetchval(_STILL_MINE, explanation_id, owner) is None:
                    raise OwnershipLostError
                await connection.execute(_APPEND, explanation_id, after, frames)

    async def finish(
        self, explanation_id: UUID, owner: UUID, after: int, frame: bytes, ending: Ending
    ) -> None:
        """Commits the result frame, as `after + 1`, together with the end of the explanation.

        Raises:
            OwnershipLostError: `owner` no longer runs it, or it is finished already.
        """
        values = (ending.state, ending.verdict, ending.result, ending.headline, ending.trace_id)
        with guard("finish"):
            async with self._pool.acquire() as connection, connection.transaction():
                if await connection.fetchval(_FINISH, explanation_id, owner, *values) is None:
                    raise OwnershipLostError
                await connection.execute(_APPEND, explanation_id, after, [frame])

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
