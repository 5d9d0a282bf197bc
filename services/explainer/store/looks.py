"""Which finished explanations are looked at again, each time by one replica."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from mesh.postgres import guard
from services.explainer.model.subjects import SubjectKind, SubjectRef

if TYPE_CHECKING:
    from mesh.postgres import Pool

REVISIONS_MAX: Final = 4
"""A subject is not explained more often than that by itself."""

# Of a group of like explanations the first stands for all; a revision stands for itself.
_DUE = """
UPDATE explainer.explanation SET looks = looks + 1 WHERE explanation_id = ANY(ARRAY(
    SELECT explanation_id FROM explainer.explanation
    WHERE state = 'done' AND NOT superseded AND revision < $2 AND looks < cardinality($1::float8[])
        AND (group_id IS NULL OR group_id = explanation_id OR revision > 1)
        AND finish_time > now() - 2 * $1[cardinality($1)] * interval '1 s'
        AND finish_time <= now() - $1[looks + 1] * interval '1 s'
    ORDER BY finish_time LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING explanation_id, subject_kind, subject_id, subject_state, result
"""
_GIVE_BACK = """
UPDATE explainer.explanation SET looks = looks - 1 WHERE explanation_id = $1 AND looks > 0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An explanation whose turn it is; `result` is encoded whole."""

    explanation_id: UUID
    ref: SubjectRef
    subject_state: str
    result: bytes


class LookStore:
    """Hands out turns."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def due(self, after_s: Sequence[float], limit: int) -> list[Finished]:
        """Up to `limit` explanations that ended so long ago and were not looked at since.

        Args:
            after_s: Age at each look, ascending.
            limit: Most to hand out.
        """
        with guard("due_looks"):
            rows = await self._pool.fetch(_DUE, list(after_s), REVISIONS_MAX, limit)
        return [
            Finished(
                explanation_id=row["explanation_id"],
                ref=SubjectRef(kind=SubjectKind(row["subject_kind"]), id=row["subject_id"]),
                subject_state=row["subject_state"],
                result=row["result"],
            )
            for row in rows
        ]

    async def give_back(self, explanation_id: UUID) -> None:
        """The turn was not used: what was to be asked was away."""
        with guard("give_back_look"):
            await self._pool.execute(_GIVE_BACK, explanation_id)
