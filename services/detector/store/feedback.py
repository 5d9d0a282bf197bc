"""What people said of anomalies."""

from typing import TYPE_CHECKING, Final

from mesh import audit
from mesh.postgres import guard
from services.detector.model.feedback import Feedback, Judgement

if TYPE_CHECKING:
    import asyncpg

    from mesh.postgres import Pool

_PUT: Final = """
INSERT INTO detector.feedback (anomaly_id, series_id, kind, alert_score, features, true_alarm,
    comment, subject)
SELECT anomaly_id, series_id, kind, alert_score,
    (SELECT coalesce(jsonb_object_agg(key, value -> 0), '{}') FROM jsonb_each(contributions)),
    $2, $3, $4
FROM detector.anomaly WHERE anomaly_id = $1
ON CONFLICT (anomaly_id) DO UPDATE SET
    true_alarm = $2, comment = $3, subject = $4, created_at = clock_timestamp()
RETURNING true_alarm, comment, subject, created_at
"""
_FIND: Final = """
SELECT true_alarm, comment, subject, created_at FROM detector.feedback WHERE anomaly_id = $1
"""
_JUDGEMENTS: Final = """
SELECT series_id, alert_score, true_alarm FROM detector.feedback WHERE kind = 1
"""


class FeedbackStore:
    """Questions about feedback."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def put(
        self, anomaly_id: str, *, true_alarm: bool, comment: str, subject: str
    ) -> Feedback | None:
        """Keeps the last word on an anomaly; None when there is no such anomaly."""
        if "\x00" in anomaly_id:
            return None
        with guard("put_feedback"):
            async with self._pool.acquire() as connection, connection.transaction():
                before = await connection.fetchrow(_FIND, anomaly_id)
                row = await connection.fetchrow(_PUT, anomaly_id, true_alarm, comment, subject)
                if row is not None:
                    detail = audit.changes(_audited(before), _audited(row))
                    await audit.append(
                        connection,
                        "detector",
                        action="anomaly.judge",
                        subject=anomaly_id,
                        detail=detail,
                    )
        return None if row is None else Feedback(**dict(row))

    async def find(self, anomaly_id: str) -> Feedback | None:
        """The last word on an anomaly, if there is one."""
        with guard("get_feedback"):
            row = await self._pool.fetchrow(_FIND, anomaly_id)
        return None if row is None else Feedback(**dict(row))

    async def state(self) -> object:
        """Something that changes whenever feedback does."""
        query = "SELECT count(*), max(created_at) FROM detector.feedback"
        with guard("feedback_state"):
            row = await self._pool.fetchrow(query)
        return None if row is None else tuple(row)

    async def judgements(self) -> list[Judgement]:
        """All that was said of anomalies of the value."""
        with guard("judgements"):
            rows = await self._pool.fetch(_JUDGEMENTS)
        return [Judgement(**dict(row)) for row in rows]


def _audited(row: "asyncpg.Record | None") -> dict[str, object] | None:
    if row is None:
        return None
    return {"true_alarm": row["true_alarm"], "comment": row["comment"]}
