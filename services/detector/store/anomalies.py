"""Reading the log of anomalies."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg

from mesh.postgres import guard
from services.detector.model.anomalies import Anomaly, Contribution, Finding, Kind, Severity, ranked
from services.detector.store.notices import Notices, listening

if TYPE_CHECKING:
    from mesh.postgres import Pool

_AFTER: Final = """
SELECT * FROM detector.anomaly WHERE cursor > $1 ORDER BY cursor LIMIT $2
"""
_NEWEST_FIRST: Final = """
SELECT * FROM detector.anomaly
WHERE event_time >= $1 AND event_time < $2 AND severity >= $3::integer
    AND ($4::integer = 0 OR kind = $4)
    AND labels @> $5 AND (event_time, cursor) < ($6, $7)
ORDER BY event_time DESC, cursor DESC LIMIT $8
"""
_EARLIER: Final = """
SELECT * FROM detector.anomaly
WHERE series_id = $1 AND kind = $2 AND event_time < $3 ORDER BY event_time DESC LIMIT $4
"""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_TIME: Final = datetime(1, 1, 1, tzinfo=UTC)
_LAST_TIME: Final = datetime(9999, 12, 31, tzinfo=UTC)
_LAST_CURSOR: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyFilter:
    """Which anomalies are wanted; `labels` must all be there with these values."""

    start_time: datetime = _FIRST_TIME
    end_time: datetime = _LAST_TIME
    min_severity: int = 0
    kind: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in the list of anomalies, newest first."""

    event_time: datetime = _LAST_TIME
    cursor: int = _LAST_CURSOR


class AnomalyStore:
    """Questions about committed anomalies."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def head(self) -> int:
        """Cursor of the newest anomaly; 0 when there is none."""
        with guard("anomaly_head"):
            query = "SELECT coalesce(max(cursor), 0) FROM detector.anomaly"
            return int(await self._pool.fetchval(query))

    async def after(self, cursor: int, limit: int) -> "list[Anomaly]":
        """The first `limit` anomalies after `cursor`, in the order of the log."""
        with guard("anomalies_after"):
            rows = await self._pool.fetch(_AFTER, min(cursor, _LAST_CURSOR), limit)
        return [_anomaly(row) for row in rows]

    def listening(self) -> AbstractAsyncContextManager[Notices]:
        """Hears of commits while the block runs."""
        return listening(self._pool)

    async def list(self, wanted: AnomalyFilter, before: Place, limit: int) -> list[Anomaly]:
        """The newest `limit` anomalies that are older than the place `before`."""
        with guard("list_anomalies"):
            rows = await self._pool.fetch(
                _NEWEST_FIRST,
                wanted.start_time,
                wanted.end_time,
                wanted.min_severity,
                wanted.kind,
                dict(wanted.labels),
                before.event_time,
                before.cursor,
                limit,
            )
        return [_anomaly(row) for row in rows]

    async def find(self, anomaly_id: str) -> Anomaly | None:
        """The anomaly of that id, if there is one."""
        if "\x00" in anomaly_id:
            return None
        with guard("get_anomaly"):
            query = "SELECT * FROM detector.anomaly WHERE anomaly_id = $1"
            row = await self._pool.fetchrow(query, anomaly_id)
        return None if row is None else _anomaly(row)

    async def earlier(self, finding: Finding, limit: int) -> Sequence[Finding]:
        """The newest `limit` anomalies of the same series and kind before it, newest first."""
        before = _EPOCH + timedelta(milliseconds=finding.event_ms)
        with guard("earlier_anomalies"):
            rows = await self._pool.fetch(
                _EARLIER, finding.series_id, int(finding.kind), before, limit
            )
        return [_anomaly(row).finding for row in rows]


def _anomaly(row: asyncpg.Record) -> Anomaly:
    finding = Finding(
        anomaly_id=row["anomaly_id"],
        series_id=row["series_id"],
        labels=row["labels"],
        kind=Kind(row["kind"]),
        severity=Severity(row["severity"]),
        event_ms=round(row["event_time"].timestamp() * 1000),
        value=row["value"],
        raw_score=row["raw_score"],
        alert_score=row["alert_score"],
        expected_low=row["expected_low"],
        expected_high=row["expected_high"],
        contributions=_contributions(row["contributions"]),
        model_version=row["model_version"],
        traceparent=row["traceparent"],
    )
    return Anomaly(finding=finding, cursor=row["cursor"], commit_time=row["commit_time"])


def _contributions(parts: Mapping[str, tuple[float, float]]) -> tuple[Contribution, ...]:
    return ranked(
        Contribution(feature=feature, value=value, share=share)
        for feature, (value, share) in parts.items()
    )
