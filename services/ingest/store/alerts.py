"""Alert episodes and their changes."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from mesh.postgres import guard
from mesh.selector import Selector
from services.ingest.model.alerts import Alert, AlertChange, AlertState, Severity
from services.ingest.store.transaction import committing

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.ingest.store.transaction import Connection

_LOCK: Final = "SELECT last_change FROM ingest.alert_head FOR UPDATE"
_ADVANCE: Final = "UPDATE ingest.alert_head SET last_change = $1"
_SEEN: Final = """
SELECT alert_id, state FROM ingest.alert_change WHERE alert_id = ANY($1)
"""
# The resolved change says how the episode stands, whenever it comes.
_MERGE: Final = """
INSERT INTO ingest.alert AS stored VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (alert_id) DO UPDATE SET
    annotations   = CASE WHEN wins THEN excluded.annotations ELSE stored.annotations END,
    generator_url = CASE WHEN wins THEN excluded.generator_url ELSE stored.generator_url END,
    end_time      = CASE WHEN wins THEN excluded.end_time ELSE stored.end_time END,
    state         = greatest(stored.state, excluded.state),
    update_time   = excluded.update_time,
    traceparent   = excluded.traceparent
""".replace("wins", "excluded.state > stored.state")
_CHANGE: Final = "INSERT INTO ingest.alert_change VALUES ($1, $2, $3, $4, $5, $6)"
ALERT_COLUMNS: Final = """
alert.alert_id, alert.fingerprint, alert.labels, alert.annotations, alert.state, alert.severity,
alert.start_time, alert.end_time, alert.generator_url, alert.update_time, alert.traceparent
"""
_BY_ID: Final = f"SELECT {ALERT_COLUMNS} FROM ingest.alert WHERE alert_id = $1"  # noqa: S608
_HISTORY: Final = """
SELECT state, commit_time, end_time FROM ingest.alert_change WHERE alert_id = $1 ORDER BY change_id
"""
_LIST: Final = f"""
SELECT {ALERT_COLUMNS} FROM ingest.alert
WHERE labels @> $1 AND severity >= $2 AND ($3 = 0 OR state = $3)
  AND ($4::timestamptz IS NULL OR coalesce(end_time, 'infinity') >= $4)
  AND ($5::timestamptz IS NULL OR start_time < $5)
  AND ($6::timestamptz IS NULL OR (start_time, alert_id) < ($6, $7))
ORDER BY start_time DESC, alert_id DESC LIMIT $8
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


class AlertStore:
    """Writes changes and reads episodes."""

    def __init__(self, pool: "Pool", *, timeout_s: float) -> None:
        """Uses `pool` for each question; `timeout_s` bounds a write."""
        self._pool = pool
        self._timeout_s = timeout_s

    async def write(self, alerts: Sequence[Alert], now_ms: int, traceparent: str) -> int:
        """Stores the changes that are new, all or none; how many those were.

        The order, interleaving and repetition of changes do not matter to how episodes end up.

        Raises:
            Unavailable: Nothing may be acknowledged; the repeat tells what was stored.
        """
        with guard("write_alerts"):
            async with committing(self._pool, self._timeout_s) as connection:
                last = await connection.fetchval(_LOCK)
                fresh = await _fresh(connection, alerts)
                now = _instant(now_ms)
                numbered = list(enumerate(fresh, start=last + 1))
                await connection.executemany(
                    _MERGE, [_row(alert, now, traceparent) for alert in fresh]
                )
                await connection.executemany(
                    _CHANGE, [_change_row(n, alert, now, traceparent) for n, alert in numbered]
                )
                await connection.execute(_ADVANCE, last + len(fresh))
        return len(fresh)

    async def get(self, alert_id: str) -> tuple[Alert, list[AlertChange]] | None:
        """An episode and its changes, oldest commit first; None when there is no such episode."""
        with guard("get_alert"):
            row = await self._pool.fetchrow(_BY_ID, alert_id)
            changes = await self._pool.fetch(_HISTORY, alert_id) if row else []
        return (alert_of(row), [_change(each) for each in changes]) if row else None

    async def matching(
        self, wanted: AlertFilter, after: tuple[int, str] | None = None
    ) -> AsyncIterator[Alert]:
        """Episodes, newest start first, from behind `after` (start in ms, alert_id)."""
        while True:
            with guard("alerts_matching"):
                rows = await self._pool.fetch(_LIST, *_arguments(wanted, after), _PAGE_ROWS)
            for row in rows:
                if wanted.selector.matches(row["labels"]):
                    yield alert_of(row)
            if len(rows) < _PAGE_ROWS:
                return
            after = (millis(rows[-1]["start_time"]), rows[-1]["alert_id"])


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
        generator_url=row["generator_url"],
        update_time_ms=millis(row["update_time"]),
        traceparent=row["traceparent"],
    )


def millis(instant: datetime) -> int:
    """Milliseconds since the Unix epoch."""
    return round(instant.timestamp() * 1000)


async def _fresh(connection: "Connection", alerts: Sequence[Alert]) -> list[Alert]:
    rows = await connection.fetch(_SEEN, [alert.alert_id for alert in alerts])
    seen = {(row["alert_id"], row["state"]) for row in rows}
    fresh = {(alert.alert_id, alert.state.value): alert for alert in reversed(alerts)}
    return [fresh[key] for key in reversed(fresh) if key not in seen]


def _row(alert: Alert, now: datetime, traceparent: str) -> tuple[object, ...]:
    end = _instant_or_none(alert.end_time_ms)
    return (
        alert.alert_id,
        alert.fingerprint,
        dict(alert.labels),
        dict(alert.annotations),
        alert.state.value,
        alert.severity.value,
        _instant(alert.start_time_ms),
        end or (now if alert.state is AlertState.RESOLVED else None),
        alert.generator_url,
        now,
        traceparent,
    )


def _change_row(
    change_id: int, alert: Alert, now: datetime, traceparent: str
) -> tuple[object, ...]:
    end = _instant_or_none(alert.end_time_ms)
    return change_id, alert.alert_id, alert.state.value, end, now, traceparent


def _arguments(wanted: AlertFilter, after: tuple[int, str] | None) -> tuple[object, ...]:
    return (
        wanted.selector.equalities(),
        wanted.min_severity,
        wanted.state,
        _instant_or_none(wanted.start_time_ms),
        _instant_or_none(wanted.end_time_ms),
        _instant(after[0]) if after else None,
        after[1] if after else "",
    )


def _change(row: Any) -> AlertChange:
    return AlertChange(
        state=AlertState(row["state"]),
        commit_time_ms=millis(row["commit_time"]),
        end_time_ms=_millis_or_none(row["end_time"]),
    )


def _instant(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms // 1000, UTC).replace(microsecond=time_ms % 1000 * 1000)


def _instant_or_none(time_ms: int | None) -> datetime | None:
    return None if time_ms is None else _instant(time_ms)


def _millis_or_none(instant: datetime | None) -> int | None:
    return None if instant is None else millis(instant)
