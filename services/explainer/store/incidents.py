"""Explained incidents, found again by likeness where the database has pgvector."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from mesh.postgres import guard
from services.explainer.batching import Batcher

if TYPE_CHECKING:
    from mesh.postgres import Pool

COMPARED_MAX = 5000
"""Past incidents that are compared, the newest ones: an exact answer within milliseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_THERE = "SELECT to_regclass('explainer.incident') IS NOT NULL"
_WRITE = """
INSERT INTO explainer.incident (explanation_id, event_time, title, cause, confidence, embedding)
SELECT id, at, title, cause, confidence, embedding::vector FROM unnest(
    $1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::float8[], $6::text[]
) AS new (id, at, title, cause, confidence, embedding)
ON CONFLICT (explanation_id) DO NOTHING
"""
_LIKE = """
SELECT explanation_id, title, cause, confidence, likeness,
    (extract(epoch FROM event_time) * 1000)::bigint AS event_ms,
    (SELECT mode() WITHIN GROUP (ORDER BY verdict) FROM explainer.feedback f
        WHERE f.explanation_id = near.explanation_id) AS verdict,
    (SELECT min(root_cause) FROM explainer.feedback f
        WHERE f.explanation_id = near.explanation_id AND root_cause <> '') AS stated_cause
FROM (
    SELECT *, 1 - (embedding <=> $1::text::vector) AS likeness FROM (
        SELECT * FROM explainer.incident WHERE event_time < $2 ORDER BY event_time DESC LIMIT $4
    ) AS newest
    ORDER BY likeness DESC, event_time DESC LIMIT $3
) AS near
ORDER BY likeness DESC, event_time DESC, explanation_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One that was explained. `cause` is the first suspect.

    Attributes:
        likeness: Cosine of the angle between the two embeddings, -1 to 1.
        verdict: What most callers think of the explanation; "" when nobody said.
        stated_cause: The cause that a caller gave; "" when nobody did.
    """

    explanation_id: UUID
    event_ms: int
    title: str
    cause: str
    confidence: float
    likeness: float = 0.0
    verdict: str = ""
    stated_cause: str = ""


class Incidents:
    """Keeps and finds incidents."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool
        self._available = False
        self._writing = Batcher(self._write)

    async def available(self) -> bool:
        """Whether this database can look for likeness at all."""
        if not self._available:
            with guard("know_incidents"):
                self._available = bool(await self._pool.fetchval(_THERE))
        return self._available

    async def write(self, incident: Incident, embedding: Sequence[float]) -> None:
        """Keeps an incident; one that is there stays as it is."""
        await self._writing.do((incident, embedding))

    async def _write(
        self, written: Sequence[tuple[Incident, Sequence[float]]]
    ) -> list[Exception | None]:
        values = [
            (
                e.explanation_id,
                _time(e.event_ms),
                e.title,
                e.cause,
                e.confidence,
                _vector(embedding),
            )
            for e, embedding in written
        ]
        with guard("write_incident"):
            await self._pool.execute(_WRITE, *zip(*values, strict=True))
        return [None] * len(written)

    async def like(
        self, embedding: Sequence[float], *, before_ms: int, limit: int
    ) -> list[Incident]:
        """The most alike of those that began before a time."""
        with guard("like_incidents"):
            values = (_vector(embedding), _time(before_ms), limit, COMPARED_MAX)
            rows = await self._pool.fetch(_LIKE, *values)
        return [
            Incident(
                explanation_id=row["explanation_id"],
                event_ms=row["event_ms"],
                title=row["title"],
                cause=row["cause"],
                confidence=row["confidence"],
                likeness=row["likeness"],
                verdict=row["verdict"] or "",
                stated_cause=row["stated_cause"] or "",
            )
            for row in rows
        ]


def _time(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=max(0, milliseconds))


def _vector(values: Sequence[float]) -> str:
    return f"[{','.join(f'{value:.6g}' for value in values)}]"
