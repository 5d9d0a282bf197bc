"""The log of changes of alerts, in the order of their commit."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from mesh.notices import Notices, listening
from mesh.postgres import guard
from services.ingest.model.alerts import Alert, AlertState, EndReason
from services.ingest.store.alerts import ALERT_COLUMNS, alert_of, millis

if TYPE_CHECKING:
    from mesh.postgres import Pool

CHANNEL: Final = "ingest_alert"
"""Where commits to the log are notified of."""

LOCK: Final = "SELECT last_change FROM ingest.alert_head FOR UPDATE"
"""Whoever holds it writes the next changes; the newest one so far."""

ADVANCE: Final = f"""
WITH advanced AS (UPDATE ingest.alert_head SET last_change = $1 RETURNING 1)
SELECT pg_notify('{CHANNEL}', '') FROM advanced
"""  # noqa: S608
"""The newest change from now on."""

_HEAD: Final = "SELECT last_change FROM ingest.alert_head"
_AFTER: Final = f"""
SELECT change.change_id, change.state AS change_state, change.end_time AS change_end,
    change.traceparent AS change_trace, {ALERT_COLUMNS}
FROM ingest.alert_change AS change JOIN ingest.alert USING (alert_id)
WHERE change.change_id > $1 ORDER BY change.change_id LIMIT $2
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class LoggedAlert:
    """An episode as a change left it, and the place of that change."""

    cursor: int
    alert: Alert


class AlertLog:
    """Reads changes; any process reads all of them."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def head(self) -> int:
        """Place of the newest change."""
        with guard("alert_head"):
            head: int = await self._pool.fetchval(_HEAD)
        return head

    async def last(self) -> int:
        """No cursor above it was ever given."""
        return await self.head()

    async def dropped(self) -> int:
        """0: each place is sent, so a hole tells."""
        return 0

    async def after(self, cursor: int, limit: int) -> Sequence[LoggedAlert]:
        """Changes behind `cursor`, oldest first."""
        with guard("alerts_after"):
            rows = await self._pool.fetch(_AFTER, cursor, limit)
        return [LoggedAlert(row["change_id"], _as_changed(row)) for row in rows]

    def listening(self) -> AbstractAsyncContextManager[Notices]:
        """Hears of commits while the block runs."""
        return listening(self._pool, CHANNEL)


def _as_changed(row: Any) -> Alert:
    now = replace(alert_of(row), traceparent=row["change_trace"])
    if row["change_state"] == AlertState.FIRING.value:
        return replace(now, state=AlertState.FIRING, end_time_ms=None, end_reason=EndReason.OPEN)
    if row["change_end"] is None:
        return now
    return replace(now, end_time_ms=millis(row["change_end"]))
