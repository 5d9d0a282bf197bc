"""Alert episodes and their changes, read."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from mesh.postgres import guard
from mesh.selector import Selector
from services.ingest.model.alerts import Alert, AlertChange, AlertState, EndReason, Severity

if TYPE_CHECKING:
    from mesh.postgres import Pool

ALERT_COLUMNS: Final = """
alert.alert_id, alert.fingerprint, alert.labels, alert.annotations, alert.state, alert.severity,
alert.start_time, alert.end_time, alert.end_reason, alert.generator_url, alert.update_time,
alert.traceparent
"""
_BY_ID: Final = f"SELECT {ALERT_COLUMNS} FROM ingest.alert WHERE alert_id = $1"  # noqa: S608
_HISTORY: Final = """
SELECT state, commit_time, end_time FROM ingest.alert_change WHERE alert_id = $1 ORDER BY change_id
"""
_WANTED: Final = """labels @> $1 AND severity >= $2 AND ($3 = 0 OR state = $3)
  AND ($4::timestamptz IS NULL OR coalesce(end_time, 'infinity') >= $4)
  AND ($5::timestamptz IS NULL OR start_time < $5)
  AND ($6::timestamptz IS NULL OR update_time >= $6)"""
_LIST: Final = f"""
SELECT {ALERT_COLUMNS} FROM ingest.alert
WHERE {_WANTED}
  AND ($7::timestamptz IS NULL OR (start_time, alert_id) < ($7, $8))
ORDER BY start_time DESC, alert_id DESC LIMIT $9
"""  # noqa: S608
_COUNT: Final = f"""
SELECT state, severity, said, count(*) AS episodes FROM (
    SELECT state, severity, CASE WHEN cardinality($7::text[]) > 0 THEN
        ARRAY(SELECT coalesce(labels->>name, '') FROM unnest($7) WITH ORDINALITY AS of (name, place)
            ORDER BY place) END AS said
    FROM ingest.alert WHERE {_WANTED}) AS wanted
GROUP BY state, severity, said
"""  # noqa: S608
_PAGE_ROWS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which episodes to list; None and 0 mean any."""

    selector: Selector
    state: int = 0
    min_severity: int = 0
    start_time_ms: int | None = None
    end_time_ms: int | None = None
    changed_since_ms: int | None = None


class AlertStore:
    """Reads episodes."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool

    async def get(self, alert_id: str) -> tuple[Alert, list[AlertChange]] | None:
        """An episode and its changes, oldest commit first; None when there is no such episode."""
        with guard("get_alert"):
            row = await self._pool.fetchrow(_BY_ID, alert_id)
            changes = await self._pool.fetch(_HISTORY, alert_id) if row else []
        return (alert_of(row), [_change(each) for each in changes]) if row else None

    async def matching(
        self, wanted: AlertFilter, after: tuple[int, str] | None = None, *, at_first: int
    ) -> AsyncIterator[Alert]:
        """Episodes, newest start first, from behind `after` (start in ms, alert_id).

        Reads `at_first` rows, and more at a time when the selector leaves too few of them.
        """
        limit = min(at_first, _PAGE_ROWS)
        while True:
            with guard("alerts_matching"):
                rows = await self._pool.fetch(_LIST, *_arguments(wanted, after), limit)
            for row in rows:
                if wanted.selector.matches(row["labels"]):
                    yield alert_of(row)
            if len(rows) < limit:
                return
            after = (millis(rows[-1]["start_time"]), rows[-1]["alert_id"])
            limit = _PAGE_ROWS

    async def count(self, wanted: AlertFilter) -> Mapping[tuple[AlertState, Severity], int]:
        """How many episodes `matching` would give, by state and severity.

        The database counts them by the labels of which the selector asks more than one value, so
        that its expressions are matched once for each different set of these.
        """
        names = wanted.selector.undecided()
        found: Counter[tuple[AlertState, Severity]] = Counter()
        with guard("count_alerts"):
            async with self._pool.acquire() as connection, connection.transaction(readonly=True):
                arguments = (*_conditions(wanted), names)
                async for row in connection.cursor(_COUNT, *arguments, prefetch=_PAGE_ROWS):
                    said = dict(zip(names, row["said"] or (), strict=True))
                    if wanted.selector.matches(wanted.selector.equalities() | said):
                        key = AlertState(row["state"]), Severity(row["severity"])
                        found[key] += row["episodes"]
        return found


def alert_of(row: Any) -> Alert:
    """An episode from a row with ALERT_COLUMNS."""
    return Alert(
        alert_id=row["alert_id"],
        fingerprint=row["fingerprint"],
        labels=tuple(sorted(row["labels"].items())),
        annotations=tuple(sorted(row["annotations"].items())),
        state=AlertState(row["state"]),
        severity=Severity(row["severity"]),
        start_time_ms=millis(row["start_time"]),
        end_time_ms=_millis_or_none(row["end_time"]),
        end_reason=EndReason(row["end_reason"]),
        generator_url=row["generator_url"],
        update_time_ms=millis(row["update_time"]),
        traceparent=row["traceparent"],
    )


def millis(instant: datetime) -> int:
    """Milliseconds since the Unix epoch."""
    return round(instant.timestamp() * 1000)


def _arguments(wanted: AlertFilter, after: tuple[int, str] | None) -> tuple[object, ...]:
    place = (instant(after[0]), after[1]) if after else (None, "")
    return (*_conditions(wanted), *place)


def _conditions(wanted: AlertFilter) -> tuple[object, ...]:
    """The arguments of `_WANTED`."""
    return (
        wanted.selector.equalities(),
        wanted.min_severity,
        wanted.state,
        instant_or_none(wanted.start_time_ms),
        instant_or_none(wanted.end_time_ms),
        instant_or_none(wanted.changed_since_ms),
    )


def _change(row: Any) -> AlertChange:
    return AlertChange(
        state=AlertState(row["state"]),
        commit_time_ms=millis(row["commit_time"]),
        end_time_ms=_millis_or_none(row["end_time"]),
    )


def instant(time_ms: int) -> datetime:
    """A time for the database."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).replace(microsecond=time_ms % 1000 * 1000)


def instant_or_none(time_ms: int | None) -> datetime | None:
    """A time for the database, when there is one."""
    return None if time_ms is None else instant(time_ms)


def _millis_or_none(instant: datetime | None) -> int | None:
    return None if instant is None else millis(instant)
