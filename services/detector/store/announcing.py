"""Writing the log of anomalies: what begins, under which lead, and what ends."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from services.detector.model.anomalies import EpisodeEnd, Finding, Kind
from services.detector.model.budget import Budget
from services.detector.model.groups import NO_LABEL, TOGETHER_MS, Lead, PlacedFinding, placed
from services.detector.store.purses import open_purses

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

CHANNEL: Final = "detector_anomaly"
"""Where commits to the log are notified of."""

_LOCK: Final = 0x44455443
_FINDINGS_AT_ONCE: Final = 500
_ENDS_AT_ONCE: Final = 5000

_OPEN_LEADS: Final = """
SELECT anomaly_id, kind, series_id, shared_name, shared_value, alert_score,
    over_budget, (extract(epoch FROM event_time) * 1000)::bigint AS event_ms
FROM detector.anomaly JOIN unnest($1::text[], $2::text[]) AS wanted (name, value)
    ON shared_name = wanted.name AND shared_value = wanted.value
WHERE lead_id IS NULL AND end_time IS NULL
    AND event_time >= timestamptz 'epoch' + $3::bigint * interval '1 millisecond'
"""
_ADD: Final = """
INSERT INTO detector.anomaly (cursor, anomaly_id, series_id, labels, kind, severity, event_time,
    value, raw_score, alert_score, expected_low, expected_high, contributions, model_version,
    traceparent, source, shared_name, shared_value, lead_id, over_budget, series_kind,
    series_kind_source)
SELECT nextval('detector.anomaly_cursor'), id, series, labels, kind, severity,
    timestamptz 'epoch' + event_ms * interval '1 millisecond',
    value, raw, alert, low, high, contributions, version, trace, source, name, shared, lead,
    over_budget, series_kind, kind_source
FROM unnest($1::text[], $2::bigint[], $3::jsonb[], $4::smallint[], $5::smallint[], $6::bigint[],
    $7::float8[], $8::float8[], $9::float8[], $10::float8[], $11::float8[], $12::jsonb[],
    $13::bigint[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[],
    $19::boolean[], $20::smallint[], $21::smallint[])
    AS found (id, series, labels, kind, severity, event_ms, value, raw, alert, low, high,
        contributions, version, trace, source, name, shared, lead, over_budget, series_kind,
        kind_source)
ON CONFLICT (anomaly_id) DO NOTHING
RETURNING lead_id
"""
_COUNT: Final = """
UPDATE detector.anomaly SET series_count = series_count + more
FROM unnest($1::text[], $2::integer[]) AS counted (id, more) WHERE anomaly_id = id
"""
# Each open anomaly of a series takes the first end after it.
_END_SERIES: Final = """
WITH given AS (
    SELECT series, timestamptz 'epoch' + end_ms * interval '1 millisecond' AS end_time, reason,
        kind, source
    FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::smallint[], $5::text[])
        AS given (series, end_ms, reason, kind, source)
), ended AS (
    SELECT DISTINCT ON (open.cursor) open.cursor, given.end_time, given.reason
    FROM detector.anomaly AS open JOIN given ON given.series = open.series_id
        AND given.kind = open.kind AND given.source = open.source
    WHERE open.series_end_time IS NULL AND open.event_time <= given.end_time
    ORDER BY open.cursor, given.end_time
)
UPDATE detector.anomaly AS anomaly
SET series_end_time = ended.end_time, end_reason = ended.reason
FROM ended WHERE anomaly.cursor = ended.cursor
RETURNING anomaly_id, lead_id
"""
# A lead is over when its own series is and all members are.
_END: Final = """
WITH over AS (
    SELECT cursor, greatest(series_end_time, members.last_end) AS end_time
    FROM detector.anomaly AS anomaly CROSS JOIN LATERAL (
        SELECT max(series_end_time) AS last_end, bool_or(series_end_time IS NULL) AS go_on
        FROM detector.anomaly AS member WHERE member.lead_id = anomaly.anomaly_id
    ) AS members
    WHERE anomaly_id = ANY($1::text[]) AND end_time IS NULL AND series_end_time IS NOT NULL
        AND NOT coalesce(members.go_on, false)
), placed AS (
    SELECT cursor, end_time, nextval('detector.anomaly_cursor') AS end_cursor
    FROM (SELECT * FROM over ORDER BY end_time, cursor) AS in_order
)
UPDATE detector.anomaly AS anomaly
SET end_time = placed.end_time, end_cursor = placed.end_cursor
FROM placed WHERE anomaly.cursor = placed.cursor
"""


async def announce(
    connection: "Connection",
    findings: Sequence[Finding],
    ends: Sequence[EpisodeEnd],
    budget: Budget,
) -> None:
    """Adds to the log within the transaction of `connection`; cursors grow with every commit."""
    if not (findings or ends):
        return
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    for start in range(0, len(findings), _FINDINGS_AT_ONCE):
        part = findings[start : start + _FINDINGS_AT_ONCE]
        await _begin(connection, part, budget)
    for start in range(0, len(ends), _ENDS_AT_ONCE):
        await _end(connection, ends[start : start + _ENDS_AT_ONCE])
    await connection.execute(f"NOTIFY {CHANNEL}")


async def _begin(connection: "Connection", findings: Sequence[Finding], budget: Budget) -> None:
    purses = await open_purses(connection, findings, budget)
    grouped = placed(findings, await _open_leads(connection, findings), purses.announced)
    await purses.store(connection)
    kept = [each for each in grouped if each.lead_id is None or each.finding.listed]
    counted = Counter(each.lead_id for each in grouped if each.lead_id and not each.finding.listed)
    added = await connection.fetch(_ADD, *_columns(kept))
    counted.update(row["lead_id"] for row in added if row["lead_id"] is not None)
    if counted:
        await connection.execute(_COUNT, list(counted), list(counted.values()))


async def _open_leads(connection: "Connection", findings: Sequence[Finding]) -> list[Lead]:
    shared = sorted({each.shared for each in findings} - {NO_LABEL})
    if not shared:
        return []
    names, values = (list(column) for column in zip(*shared, strict=True))
    since_ms = min(each.event_ms for each in findings) - max(TOGETHER_MS.values())
    rows = await connection.fetch(_OPEN_LEADS, names, values, since_ms)
    return [
        Lead(
            anomaly_id=row["anomaly_id"],
            kind=Kind(row["kind"]),
            series_id=row["series_id"],
            shared=(row["shared_name"], row["shared_value"]),
            event_ms=row["event_ms"],
            alert_score=row["alert_score"],
            over_budget=row["over_budget"],
        )
        for row in rows
    ]


async def _end(connection: "Connection", ends: Sequence[EpisodeEnd]) -> None:
    rows = [(e.series_id, e.end_ms, int(e.reason), int(e.kind), e.source) for e in ends]
    columns = [list(column) for column in zip(*rows, strict=True)]
    ended = await connection.fetch(_END_SERIES, *columns)
    touched = {row[name] for row in ended for name in ("anomaly_id", "lead_id")} - {None}
    if touched:
        await connection.execute(_END, sorted(touched))


def _columns(found: Iterable[PlacedFinding]) -> list[list[Any]]:
    rows = [_row(each.finding, each.lead_id) for each in found]
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(21)]


def _row(found: Finding, lead_id: str | None) -> tuple[Any, ...]:
    return (
        found.anomaly_id,
        found.series_id,
        dict(found.labels),
        found.kind,
        found.severity,
        found.event_ms,
        found.value,
        found.raw_score,
        found.alert_score,
        found.expected_low,
        found.expected_high,
        {part.feature: (part.value, part.share) for part in found.contributions},
        found.model_version,
        found.traceparent,
        found.source,
        *found.shared,
        lead_id,
        found.over_budget,
        found.series_kind,
        found.series_kind_source,
    )
