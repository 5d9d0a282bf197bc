"""Reading the log of anomalies."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg

from mesh.notices import Notices, listening
from mesh.postgres import guard
from services.detector.model.anomalies import (
    Anomaly,
    Contribution,
    EndReason,
    Entry,
    Finding,
    Kind,
    Severity,
    ranked,
)
from services.detector.model.samples import SeriesKind, SeriesKindSource
from services.detector.store.announcing import CHANNEL

if TYPE_CHECKING:
    from mesh.postgres import Pool

_SELECT: Final = """
SELECT anomaly.*, lead.labels AS lead_labels FROM detector.anomaly AS anomaly
    LEFT JOIN detector.anomaly AS lead ON lead.anomaly_id = anomaly.lead_id
"""
_AFTER: Final = """
SELECT log.*, lead.labels AS lead_labels FROM (
    (SELECT *, cursor AS place, false AS is_end
        FROM detector.anomaly WHERE cursor > $1 ORDER BY cursor LIMIT $2)
    UNION ALL
    (SELECT *, end_cursor, true
        FROM detector.anomaly WHERE end_cursor > $1 ORDER BY end_cursor LIMIT $2)
) AS log LEFT JOIN detector.anomaly AS lead ON lead.anomaly_id = log.lead_id
ORDER BY place LIMIT $2
"""
_HEAD: Final = """
SELECT greatest(
    coalesce((SELECT max(cursor) FROM detector.anomaly), 0),
    coalesce((SELECT max(end_cursor) FROM detector.anomaly WHERE end_cursor IS NOT NULL), 0)
)
"""
_DROPPED: Final = "SELECT coalesce(max(dropped), 0) FROM detector.anomaly_log"
_LAST: Final = """
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM detector.anomaly_cursor
"""
_NEWEST_FIRST: Final = f"""
{_SELECT} WHERE anomaly.event_time >= $1 AND anomaly.event_time < $2
    AND anomaly.severity >= $3::integer AND ($4::integer = 0 OR anomaly.kind = $4)
    AND anomaly.labels @> $5 AND (anomaly.event_time, anomaly.cursor) < ($6, $7)
ORDER BY anomaly.event_time DESC, anomaly.cursor DESC LIMIT $8
"""
_FIND: Final = f"{_SELECT} WHERE anomaly.anomaly_id = $1"
_EARLIER: Final = f"""
{_SELECT} WHERE anomaly.series_id = $1 AND anomaly.kind = $2 AND anomaly.event_time < $3
ORDER BY anomaly.event_time DESC LIMIT $4
"""
_MEMBERS: Final = f"""
{_SELECT} WHERE anomaly.lead_id = $1 ORDER BY anomaly.event_time, anomaly.cursor LIMIT $2
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
class ListPlace:
    """A place in the list of anomalies, newest first."""

    event_time: datetime = _LAST_TIME
    cursor: int = _LAST_CURSOR


class AnomalyStore:
    """Questions about committed anomalies."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def head(self) -> int:
        """Cursor of the newest entry; 0 when there is none."""
        with guard("anomaly_head"):
            return int(await self._pool.fetchval(_HEAD))

    async def last(self) -> int:
        """No cursor above it was ever given."""
        with guard("anomaly_last"):
            return int(await self._pool.fetchval(_LAST))

    async def dropped(self) -> int:
        """Retention took some entries up to here."""
        with guard("anomaly_dropped"):
            return int(await self._pool.fetchval(_DROPPED))

    async def after(self, cursor: int, limit: int) -> "list[Entry]":
        """The first `limit` entries after `cursor`, in the order of the log."""
        with guard("anomalies_after"):
            rows = await self._pool.fetch(_AFTER, min(cursor, _LAST_CURSOR), limit)
        return [
            Entry(anomaly=_anomaly(row), cursor=row["place"], is_end=row["is_end"]) for row in rows
        ]

    def listening(self) -> AbstractAsyncContextManager[Notices]:
        """Hears of commits while the block runs."""
        return listening(self._pool, CHANNEL)

    async def list(self, wanted: AnomalyFilter, before: ListPlace, limit: int) -> list[Anomaly]:
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
            row = await self._pool.fetchrow(_FIND, anomaly_id)
        return None if row is None else _anomaly(row)

    async def earlier(self, finding: Finding, limit: int) -> Sequence[Finding]:
        """The newest `limit` anomalies of the same series and kind before it, newest first."""
        before = _EPOCH + timedelta(milliseconds=finding.event_ms)
        with guard("earlier_anomalies"):
            rows = await self._pool.fetch(
                _EARLIER, finding.series_id, int(finding.kind), before, limit
            )
        return [_anomaly(row).finding for row in rows]

    async def members(self, anomaly_id: str, limit: int) -> Sequence[Anomaly]:
        """The first `limit` anomalies that this one leads; their ends are those of their series."""
        with guard("anomaly_members"):
            rows = await self._pool.fetch(_MEMBERS, anomaly_id, limit)
        return [_anomaly(row) for row in rows]


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
        source=row["source"],
        shared=(row["shared_name"], row["shared_value"]),
        over_budget=row["over_budget"],
        series_kind=SeriesKind(row["series_kind"]),
        series_kind_source=SeriesKindSource(row["series_kind_source"]),
    )
    end_time = row["end_time"]
    return Anomaly(
        finding=finding,
        cursor=row["cursor"],
        commit_time=row["commit_time"],
        end_ms=None if end_time is None else round(end_time.timestamp() * 1000),
        end_reason=EndReason(row["end_reason"]),
        lead_id=row["lead_id"],
        lead_labels=row["lead_labels"],
        series_count=row["series_count"],
    )


def _contributions(parts: Mapping[str, tuple[float, float]]) -> tuple[Contribution, ...]:
    return ranked(
        Contribution(feature=feature, value=value, share=share)
        for feature, (value, share) in parts.items()
    )
