"""The frames of explanations: only the owner appends, anyone reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from mesh.errors import NotFound
from mesh.postgres import guard
from services.explainer.model.explanation import State, Verdict

if TYPE_CHECKING:
    from mesh.postgres import Pool

CHANNEL = "explainer_explanation"
"""Where ends of explanations are notified of."""

_PAGE = 500
_LOCK = 0x4558504C
# The row lock makes a takeover wait for this transaction, and this one see a takeover before it.
_APPEND = """
WITH mine AS (
    SELECT explanation_id FROM explainer.explanation
    WHERE explanation_id = $1 AND owner = $2 AND state = 'running' FOR NO KEY UPDATE
)
INSERT INTO explainer.frame (explanation_id, sequence, frame, holds_result)
SELECT explanation_id, $3 + place, frame, $5 AND place = cardinality($4::bytea[])
FROM mine, unnest($4::bytea[]) WITH ORDINALITY AS new(frame, place)
RETURNING 1
"""
# Last before the commit: cursors grow with every commit, and others wait for that long.
_ENTER_LOG = f"SELECT pg_advisory_xact_lock({_LOCK}), pg_notify('{CHANNEL}', '')"
_FINISH = """
UPDATE explainer.explanation SET state = $2, verdict = $3, result = $4, headline = $5,
    trace_id = $6, finish_time = clock_timestamp(), cursor = nextval('explainer.explanation_cursor')
WHERE explanation_id = $1
"""
# What failed or was cancelled replaces nothing: the finished one before it stands again.
_RESTORE = """
UPDATE explainer.explanation SET superseded = false WHERE explanation_id = (
    SELECT p.explanation_id FROM explainer.explanation p JOIN explainer.explanation e
        USING (subject_kind, subject_id, subject_state)
    WHERE e.explanation_id = $1 AND p.superseded AND p.state = 'done'
    ORDER BY p.revision DESC LIMIT 1)
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
            if not await self._pool.fetch(_APPEND, explanation_id, owner, after, frames, False):
                raise OwnershipLostError

    async def finish(
        self,
        explanation_id: UUID,
        owner: UUID,
        after: int,
        frames: Sequence[bytes],
        ending: Ending,
    ) -> None:
        """Commits the last frames together with the end.

        The very last one goes on with the result, which is stored once.

        Raises:
            OwnershipLostError: `owner` no longer runs it, or it is finished already.
        """
        values = (ending.state, ending.verdict, ending.result, ending.headline, ending.trace_id)
        with guard("finish"):
            async with self._pool.acquire() as connection, connection.transaction():
                place = (explanation_id, owner, after)
                if not await connection.fetch(_APPEND, *place, frames, True):
                    raise OwnershipLostError
                await connection.execute(_ENTER_LOG)
                await connection.execute(_FINISH, explanation_id, *values)
                if ending.state is not State.DONE:
                    await connection.execute(_RESTORE, explanation_id)

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
