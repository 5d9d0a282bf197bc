"""What was placed, to be placed again under other rules."""

from typing import TYPE_CHECKING, Any, Final

from mesh.errors import Overloaded
from mesh.postgres import guard
from services.incidents.model.change import Change, Kind, Severity

if TYPE_CHECKING:
    from mesh.postgres import Pool

CHANGES_MAX: Final = 1_000_000
_COUNT: Final = """
SELECT count(*) FROM (SELECT 1 FROM incidents.member
    WHERE start_ms >= $1 AND start_ms < $2 LIMIT $3) AS limited
"""
_SPAN: Final = """
SELECT member_id, incident_id, kind, fingerprint, labels, severity, start_ms, end_ms
FROM incidents.member WHERE start_ms >= $1 AND start_ms < $2
ORDER BY start_ms, joined_no, member_id
"""


class HistoryStore:
    """Reads members by time."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`."""
        self._pool = pool

    async def span(self, start_ms: int, end_ms: int) -> tuple[list[Change], dict[str, str]]:
        """Begins and ends in order of time, and the incident of each member now.

        Raises:
            Overloaded: TOO_MANY_CHANGES.
        """
        with guard("history"):
            count = await self._pool.fetchval(_COUNT, start_ms, end_ms, CHANGES_MAX)
            if count >= CHANGES_MAX:
                message = f"there are {CHANGES_MAX:,} or more: take a shorter span"
                raise Overloaded(message, retry_after_s=0.0, reason="TOO_MANY_CHANGES")
            rows = await self._pool.fetch(_SPAN, start_ms, end_ms)
        changes: list[tuple[int, int, Change]] = []
        for number, row in enumerate(rows):
            begun = _change(row, None)
            changes.append((begun.start_ms, 2 * number, begun))
            if row["end_ms"]:
                changes.append((row["end_ms"], 2 * number + 1, _change(row, row["end_ms"])))
        changes.sort(key=lambda each: each[:2])
        return [each for _, _, each in changes], {r["member_id"]: r["incident_id"] for r in rows}


def _change(row: Any, end_ms: int | None) -> Change:
    return Change(
        member_id=row["member_id"],
        kind=Kind(row["kind"]),
        fingerprint=row["fingerprint"],
        labels=row["labels"],
        severity=Severity(row["severity"]),
        start_ms=row["start_ms"],
        end_ms=end_ms,
    )
