"""Writing notices of alerts into episodes, and ending the episodes that they end."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from mesh.postgres import guard
from services.ingest.model.alerts import AlertState, EndReason, Notice, NoticeOutcome
from services.ingest.store.alert_log import ADVANCE, LOCK
from services.ingest.store.alerts import instant, instant_or_none
from services.ingest.store.repeats import note_repeats
from services.ingest.store.transaction import committing

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.ingest.store.transaction import Connection

_RESOLVED: Final = AlertState.RESOLVED

_SEEN: Final = """
SELECT alert_id, state, is_inferred FROM ingest.alert_change WHERE alert_id = ANY($1)
"""
# The sender's own resolved change says how the episode stands, whenever it comes.
_MERGE: Final = """
INSERT INTO ingest.alert AS stored (alert_id, fingerprint, labels, annotations, state, severity,
    start_time, end_time, end_reason, generator_url, traceparent, update_time, repeat_time)
SELECT sent.*, $12, $12
FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::jsonb[], $5::smallint[], $6::smallint[],
    $7::timestamptz[], $8::timestamptz[], $9::smallint[], $10::text[], $11::text[]) AS sent
ON CONFLICT (alert_id) DO UPDATE SET
    annotations   = CASE WHEN wins THEN excluded.annotations ELSE stored.annotations END,
    generator_url = CASE WHEN wins THEN excluded.generator_url ELSE stored.generator_url END,
    end_time      = CASE WHEN wins THEN excluded.end_time ELSE stored.end_time END,
    end_reason    = CASE WHEN wins THEN excluded.end_reason ELSE stored.end_reason END,
    state         = greatest(stored.state, excluded.state),
    update_time   = excluded.update_time,
    repeat_time   = excluded.repeat_time,
    traceparent   = excluded.traceparent
""".replace("wins", "excluded.end_reason = 1 AND stored.end_reason <> 1")
# An episode without an end of its sender's own ends with the start of the next one of its label
# set, or with the end of a notice that covers its start, whichever is earlier. More notices only
# make that earlier, so their order does not matter.
_INFER: Final = """
WITH bound AS (
    SELECT over.alert_id, over.state, touched.traceparent, least(newer.start_time, cover.end_time)
               AS end_time,
           CASE WHEN newer.start_time <= coalesce(cover.end_time, 'infinity') THEN 2 ELSE 3 END
               AS end_reason
    FROM unnest($1::text[], $2::timestamptz[], $4::text[])
        AS touched (fingerprint, since, traceparent)
    JOIN ingest.alert AS over ON over.fingerprint = touched.fingerprint AND over.end_reason <> 1
        AND (over.end_time IS NULL OR over.end_time > touched.since)
    CROSS JOIN LATERAL (
        SELECT min(other.start_time) AS start_time FROM ingest.alert AS other
        WHERE other.fingerprint = over.fingerprint
          AND (other.start_time, other.alert_id) > (over.start_time, over.alert_id)) AS newer
    CROSS JOIN LATERAL (
        SELECT min(other.end_time) AS end_time FROM ingest.alert AS other
        WHERE other.fingerprint = over.fingerprint AND other.end_reason = 1
          AND other.start_time <= over.start_time AND other.end_time >= over.start_time) AS cover
)
UPDATE ingest.alert
SET state = 2, end_time = bound.end_time, end_reason = bound.end_reason, update_time = $3,
    traceparent = bound.traceparent
FROM bound
WHERE alert.alert_id = bound.alert_id
  AND bound.end_time < coalesce(alert.end_time, 'infinity')
RETURNING alert.alert_id, alert.end_time, alert.traceparent, bound.state = 1 AS was_open
"""
_OPEN: Final = """
SELECT DISTINCT ON (fingerprint) fingerprint, alert_id FROM ingest.alert
WHERE fingerprint = ANY($1) AND state = 1 ORDER BY fingerprint, start_time DESC
"""
_CLOSE: Final = """
UPDATE ingest.alert
SET state = 2, end_time = closing.end_time, end_reason = 3, update_time = $3,
    traceparent = closing.traceparent
FROM unnest($1::text[], $2::timestamptz[], $4::text[])
    AS closing (fingerprint, end_time, traceparent)
WHERE alert.fingerprint = closing.fingerprint AND state = 1 AND start_time <= closing.end_time
RETURNING alert.alert_id, alert.fingerprint, alert.end_time, alert.traceparent, true AS was_open
"""
_CHANGE: Final = """
INSERT INTO ingest.alert_change
    (change_id, alert_id, state, end_time, traceparent, is_inferred, commit_time)
SELECT added.*, $7
FROM unnest($1::bigint[], $2::text[], $3::smallint[], $4::timestamptz[], $5::text[], $6::boolean[])
    AS added
"""
_CORRECT: Final = """
UPDATE ingest.alert_change SET end_time = correct.end_time, is_inferred = false
FROM unnest($1::text[], $2::timestamptz[]) AS correct (alert_id, end_time)
WHERE alert_change.alert_id = correct.alert_id AND state = 2
"""


class EpisodeStore:
    """Writes notices; all writers take turns, so that changes are numbered as they commit."""

    def __init__(self, pool: "Pool", *, timeout_s: float) -> None:
        """`timeout_s` bounds a write."""
        self._pool = pool
        self._timeout_s = timeout_s

    async def write(self, notices: Sequence[Notice], now_ms: int) -> Sequence[NoticeOutcome]:
        """Stores what is new, all or none; what became of each notice.

        The order, interleaving and repetition of notices that name their episode do not matter to
        how episodes end up. A notice that names none is about what is open when it is written.

        Raises:
            Unavailable: Nothing may be acknowledged; the repeat tells what was stored.
        """
        with guard("write_alerts"):
            async with committing(self._pool, self._timeout_s) as connection:
                last = await connection.fetchval(LOCK)
                writing = _Writing(connection, last, instant(now_ms))
                outcomes = [
                    outcome
                    for kind, run in groupby(notices, _kind)
                    for outcome in await kind(writing, list(run))
                ]
                await writing.repeat(_repeated(notices, outcomes))
                if writing.last_change != last:
                    await connection.execute(ADVANCE, writing.last_change)
        return outcomes


@dataclass(slots=True)
class _Writing:
    """One transaction, with the number of the last change in it."""

    connection: "Connection"
    last_change: int
    now: datetime

    async def named(self, notices: Sequence[Notice]) -> list[NoticeOutcome]:
        """Notices that name their episode."""
        rows = await self.connection.fetch(_SEEN, [notice.alert_id for notice in notices])
        seen = {(row["alert_id"], row["state"]) for row in rows if not row["is_inferred"]}
        inferred = {row["alert_id"] for row in rows if row["is_inferred"]}
        fresh: dict[tuple[str, int], Notice] = {}
        outcomes = []
        for notice in notices:
            key = notice.alert_id, notice.state.value
            is_new = key not in seen and fresh.setdefault(key, notice) is notice
            outcomes.append(NoticeOutcome(notice.alert_id, is_new))
        await self._merge(list(fresh.values()), inferred)
        return outcomes

    async def unnamed_firing(self, notices: Sequence[Notice]) -> list[NoticeOutcome]:
        """Notices without a start: about what is open, else they begin an episode now."""
        rows = await self.connection.fetch(_OPEN, [notice.fingerprint for notice in notices])
        open_ids = {row["fingerprint"]: row["alert_id"] for row in rows}
        begun: dict[str, Notice] = {}
        outcomes = []
        for notice in notices:
            mark = notice.fingerprint
            is_new = mark not in open_ids and begun.setdefault(mark, notice) is notice
            outcomes.append(NoticeOutcome(open_ids.get(mark, notice.alert_id), is_new))
        await self._merge(list(begun.values()), set())
        return outcomes

    async def unnamed_resolved(self, notices: Sequence[Notice]) -> list[NoticeOutcome]:
        """Notices without a start that end what is open."""
        end_by_mark: dict[str, datetime] = {}
        origin_by_mark = _origins(notices)
        for notice in notices:
            end = instant_or_none(notice.end_ms) or self.now
            end_by_mark[notice.fingerprint] = max(end, end_by_mark.get(notice.fingerprint, end))
        closed = await self.connection.fetch(
            _CLOSE,
            [*end_by_mark],
            [*end_by_mark.values()],
            self.now,
            [origin_by_mark[mark] for mark in end_by_mark],
        )
        await self._note_ended(closed)
        ended_ids = {row["fingerprint"]: row["alert_id"] for row in closed}
        return [
            NoticeOutcome(ended_ids.get(mark, ""), ended_ids.pop(mark, None) is not None)
            for mark in (notice.fingerprint for notice in notices)
        ]

    async def repeat(self, alert_ids: Sequence[str]) -> None:
        """Episodes that were said to fire before, and are again."""
        if alert_ids:
            last = await note_repeats(self.connection, alert_ids, self.last_change, self.now)
            self.last_change = last

    async def _merge(self, fresh: Sequence[Notice], inferred: set[str]) -> None:
        if not fresh:
            return
        for state in AlertState:  # a statement may touch an episode only once
            if rows := [self._row(notice) for notice in fresh if notice.state is state]:
                await self.connection.execute(_MERGE, *_columns(rows), self.now)
        since: dict[str, datetime] = {}
        for notice in fresh:
            start = instant(notice.start_ms)
            since[notice.fingerprint] = min(start, since.get(notice.fingerprint, start))
        origin_by_mark = _origins(fresh)
        ended = await self.connection.fetch(
            _INFER,
            [*since],
            [*since.values()],
            self.now,
            [origin_by_mark[mark] for mark in since],
        )
        # before the notices themselves: what is over at its birth is never delivered as firing
        await self._note_ended(ended)
        corrected = [n for n in fresh if n.state is _RESOLVED and n.alert_id in inferred]
        if corrected:
            ends = [(notice.alert_id, instant_or_none(notice.end_ms)) for notice in corrected]
            await self.connection.execute(_CORRECT, *_columns(ends))
        added = [notice for notice in fresh if notice not in corrected]
        await self._add(
            (n.alert_id, n.state, instant_or_none(n.end_ms), n.traceparent, False) for n in added
        )

    async def _note_ended(self, rows: Sequence[Any]) -> None:
        """A change for each episode that was open; the end of the others is only corrected."""
        await self._add(
            (row["alert_id"], _RESOLVED, row["end_time"], row["traceparent"], True)
            for row in rows
            if row["was_open"]
        )

    async def _add(
        self, changes: Iterable[tuple[str, AlertState, datetime | None, str, bool]]
    ) -> None:
        rows = []
        for alert_id, state, end, origin, is_inferred in changes:
            self.last_change += 1
            rows.append((self.last_change, alert_id, state.value, end, origin, is_inferred))
        if rows:
            await self.connection.execute(_CHANGE, *_columns(rows), self.now)

    def _row(self, notice: Notice) -> tuple[object, ...]:
        is_over = notice.state is _RESOLVED
        reason = EndReason.RESOLVED if is_over else EndReason.OPEN
        return (
            notice.alert_id,
            notice.fingerprint,
            dict(notice.labels),
            dict(notice.annotations),
            notice.state.value,
            notice.severity.value,
            instant(notice.start_ms),
            (instant_or_none(notice.end_ms) or self.now) if is_over else None,
            reason.value,
            notice.generator_url,
            notice.traceparent,
        )


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    """Rows as `unnest` takes them: one statement for all of them."""
    return [list(column) for column in zip(*rows, strict=True)]


def _repeated(notices: Sequence[Notice], outcomes: Sequence[NoticeOutcome]) -> list[str]:
    pairs = zip(notices, outcomes, strict=True)
    firing = {
        outcome.alert_id
        for n, outcome in pairs
        if n.state is AlertState.FIRING and not outcome.is_new
    }
    return sorted(firing)


def _origins(notices: Iterable[Notice]) -> dict[str, str]:
    """By fingerprint, the span that brought the last notice of it."""
    return {notice.fingerprint: notice.traceparent for notice in notices}


_Write = Callable[[_Writing, Sequence[Notice]], Awaitable[list[NoticeOutcome]]]


def _kind(notice: Notice) -> _Write:
    if notice.episode_ms is not None:
        return _Writing.named
    is_over = notice.state is _RESOLVED
    return _Writing.unnamed_resolved if is_over else _Writing.unnamed_firing
