"""What people think of explanations."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from mesh import audit
from mesh.errors import NotFound
from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

_WRITE = """
INSERT INTO explainer.feedback (explanation_id, author, verdict, root_cause, comment)
SELECT explanation_id, $2, $3, $4, $5 FROM explainer.explanation WHERE explanation_id = $1
ON CONFLICT (explanation_id, author) DO UPDATE SET verdict = $3, root_cause = $4, comment = $5,
    update_time = clock_timestamp()
RETURNING 1
"""
_WORDS = ("verdict", "root_cause", "comment")
_FIND = """
SELECT verdict, root_cause, comment FROM explainer.feedback
WHERE explanation_id = $1 AND author = $2 FOR UPDATE
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What one caller thinks. `verdict` is right, partly or wrong; texts may be empty."""

    explanation_id: UUID
    author: str
    verdict: str
    root_cause: str
    comment: str


class Feedback:
    """Keeps the newest opinion of each caller on each explanation."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def write(self, opinion: Opinion) -> None:
        """Keeps it.

        Raises:
            NotFound: There is no such explanation.
        """
        words = (opinion.author, opinion.verdict, opinion.root_cause, opinion.comment)
        with guard("write_feedback"):
            async with self._pool.acquire() as connection, connection.transaction():
                before = await connection.fetchrow(_FIND, opinion.explanation_id, opinion.author)
                if await connection.fetchval(_WRITE, opinion.explanation_id, *words) is None:
                    raise NotFound("explanation", str(opinion.explanation_id))
                after = dict(zip(_WORDS, words[1:], strict=True))
                await audit.append(
                    connection,
                    "explainer",
                    action="explanation.judge",
                    subject=str(opinion.explanation_id),
                    detail=audit.changes(dict(before) if before else None, after),
                )
