"""Subscriptions to alerts: a queue with leases, attempts and dead letters."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from mesh import audit
from mesh.postgres import guard
from mesh.selector import Selector
from services.ingest.model.alerts import Alert, AlertState, DeadLetter, EndReason
from services.ingest.model.subscription import AlertDelivery, Lag
from services.ingest.store.alerts import ALERT_COLUMNS, alert_of, millis

if TYPE_CHECKING:
    from mesh.postgres import Pool

_EXPIRED: Final = "ack deadline exceeded"
_GONE: Final = "consumer gone"
_LAST: Final = "SELECT last_change FROM ingest.alert_head"
_AT_TIME: Final = """
SELECT coalesce((SELECT min(change_id) - 1 FROM ingest.alert_change WHERE commit_time >= $1),
                (SELECT last_change FROM ingest.alert_head))
"""
_IS_BEHIND: Final = """
SELECT head.last_change > subscription.last_change
FROM ingest.alert_head AS head, ingest.subscription AS subscription
WHERE subscription.name = $1
"""
_POSITION: Final = "SELECT last_change FROM ingest.subscription WHERE name = $1 FOR UPDATE"
_NEW: Final = """
SELECT change.change_id, alert.labels FROM ingest.alert_change AS change
JOIN ingest.alert USING (alert_id)
WHERE change.change_id > $1 ORDER BY change.change_id LIMIT $2
"""
_QUEUE: Final = """
INSERT INTO ingest.delivery (subscription, change_id, due_at, severity)
SELECT $1, change_id, now(), severity
FROM ingest.alert_change AS change JOIN ingest.alert USING (alert_id)
WHERE change_id = ANY($2)
ORDER BY change_id FOR KEY SHARE OF change
ON CONFLICT DO NOTHING
"""
_MOVE: Final = "UPDATE ingest.subscription SET last_change = $2, seen_at = now() WHERE name = $1"
_BURY_SPENT: Final = f"""
UPDATE ingest.delivery
SET bury_time = now(), reason = CASE WHEN reason = '' THEN '{_EXPIRED}' ELSE reason END
WHERE subscription = $1 AND bury_time IS NULL AND due_at <= now() AND attempt >= $2
RETURNING delivery_id
"""  # noqa: S608
_ORPHANED: Final = f"""
UPDATE ingest.delivery SET due_at = now(), reason = '{_GONE}'
WHERE subscription = $1 AND bury_time IS NULL AND due_at > now() AND consumer_id <> ''
  AND NOT EXISTS (
    SELECT 1 FROM ingest.consumer
    WHERE consumer.subscription = $1 AND consumer.consumer_id = delivery.consumer_id
      AND seen_at > now() - make_interval(secs => $2))
"""  # noqa: S608
_LOST: Final = f"""
UPDATE ingest.delivery SET due_at = now(), reason = '{_GONE}'
WHERE subscription = $1 AND bury_time IS NULL AND due_at > now() AND consumer_id = $2
  AND NOT delivery_id = ANY($3)
"""  # noqa: S608
# Materialized: the planner may run a plain subquery more than once, and each run skips the rows
# that the one before has locked, so that more than LIMIT are claimed.
_CLAIM: Final = """
WITH present AS MATERIALIZED (
    SELECT 1 FROM ingest.consumer
    WHERE subscription = $1 AND consumer_id = $2 AND session_id = $5 FOR SHARE
), due AS MATERIALIZED (
    SELECT delivery_id FROM ingest.delivery
    WHERE subscription = $1 AND bury_time IS NULL AND due_at <= now() AND attempt < $6
      AND EXISTS (SELECT 1 FROM present)
    ORDER BY severity DESC, due_at, delivery_id LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE ingest.delivery AS delivery
SET attempt = attempt + 1, consumer_id = $2, reason = '',
    due_at = now() + make_interval(secs => $3)
FROM due
WHERE delivery.delivery_id = due.delivery_id
RETURNING delivery.delivery_id, delivery.attempt, delivery.change_id, delivery.severity
"""
# The episode as of a change: a firing that comes after the resolved does not reopen it.
_AS_OF: Final = f"""
SELECT {ALERT_COLUMNS}, change.change_id, change.commit_time AS as_of,
       change.traceparent AS origin,
       greatest(change.state, coalesce(resolved.state, 1)) AS state_then,
       CASE WHEN greatest(change.state, coalesce(resolved.state, 1)) = 2
            THEN alert.end_time END AS end_then
FROM ingest.alert_change AS change
JOIN ingest.alert USING (alert_id)
LEFT JOIN ingest.alert_change AS resolved
    ON resolved.alert_id = change.alert_id AND resolved.state = 2
    AND resolved.change_id <= change.change_id
WHERE change.change_id = ANY($1)
"""  # noqa: S608
_ACK: Final = """
DELETE FROM ingest.delivery
WHERE subscription = $1 AND delivery_id = ANY($2) AND bury_time IS NULL
"""
_NACK: Final = """
UPDATE ingest.delivery AS delivery
SET reason = $4, due_at = now() + make_interval(secs => $5), consumer_id = '',
    bury_time = CASE WHEN $6 OR delivery.attempt >= $7 THEN now() END
FROM unnest($2::bigint[], $3::integer[]) AS nacked (delivery_id, attempt)
WHERE delivery.subscription = $1 AND delivery.delivery_id = nacked.delivery_id
  AND delivery.attempt = nacked.attempt AND delivery.bury_time IS NULL
RETURNING bury_time
"""
_DEAD: Final = """
SELECT delivery_id, change_id, attempt, reason, bury_time FROM ingest.delivery
WHERE subscription = $1 AND bury_time IS NOT NULL
  AND ($2::bigint IS NULL OR delivery_id < $2)
ORDER BY delivery_id DESC LIMIT $3
"""
_REDRIVE: Final = """
UPDATE ingest.delivery SET bury_time = NULL, attempt = 0, reason = '', due_at = now()
WHERE subscription = $1 AND delivery_id = ANY($2) AND bury_time IS NOT NULL
RETURNING 1
"""
_LAG: Final = """
SELECT head.last_change,
       head.last_change - subscription.last_change + (
           SELECT count(*) FROM (
               SELECT 1 FROM ingest.delivery
               WHERE delivery.subscription = subscription.name AND bury_time IS NULL
               LIMIT $2) AS waiting) AS lag
FROM ingest.alert_head AS head, ingest.subscription AS subscription
WHERE subscription.name = $1
"""
_LAG_COUNTED: Final = 10_000
_CHANGES_AT_ONCE: Final = 1000
_PAGE_ROWS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTerms:
    """How one consumer reads the queue of a subscription."""

    subscription: str
    consumer_id: str
    session_id: str
    selector: Selector
    ack_deadline_s: float
    max_attempts: int


class DeliveryStore:
    """The queue; its clock is that of the database, so that all processes agree on deadlines."""

    def __init__(self, pool: "Pool", *, absent_after_s: float) -> None:
        """A consumer unseen for `absent_after_s` loses what it has not acked."""
        self._pool = pool
        self._absent_after_s = absent_after_s

    async def change_at(self, time_ms: int | None) -> int:
        """The change before what was committed at or after a time; None is now."""
        with guard("change_at"):
            if time_ms is None:
                return int(await self._pool.fetchval(_LAST))
            moment = datetime.fromtimestamp(time_ms / 1000, UTC)
            return int(await self._pool.fetchval(_AT_TIME, moment))

    async def fill(self, terms: QueueTerms) -> None:
        """Makes deliveries of the changes that came since the last time and are wanted."""
        with guard("fill_queue"):
            if not await self._pool.fetchval(_IS_BEHIND, terms.subscription):
                return
            async with self._pool.acquire() as connection, connection.transaction():
                name = terms.subscription
                after = await connection.fetchval(_POSITION, name)
                rows = await connection.fetch(_NEW, after, _CHANGES_AT_ONCE)
                if not rows:
                    return
                wanted = [r["change_id"] for r in rows if terms.selector.matches(r["labels"])]
                await connection.execute(_QUEUE, name, wanted)
                await connection.execute(_MOVE, name, rows[-1]["change_id"])

    async def reclaim(self, terms: QueueTerms, sent: Collection[int]) -> None:
        """Makes due what is leased to this consumer and was never sent to it, or to its forerunner.

        Args:
            terms: Of the stream that asks.
            sent: Deliveries that this stream has sent.
        """
        with guard("reclaim"):
            await self._pool.execute(_LOST, terms.subscription, terms.consumer_id, [*sent])

    async def tend(self, terms: QueueTerms) -> int:
        """Makes due what is leased to consumers that are gone, and buries what is due too often.

        Returns:
            How many were buried.
        """
        with guard("tend_queue"):
            await self._pool.execute(_ORPHANED, terms.subscription, self._absent_after_s)
            buried = await self._pool.fetch(_BURY_SPENT, terms.subscription, terms.max_attempts)
        return len(buried)

    async def claim(self, terms: QueueTerms, most: int) -> Sequence[AlertDelivery]:
        """Leases up to `most` deliveries that are due, the worst first, then the oldest.

        What has no attempt left is passed over until `tend` buries it. A replaced stream gets none.
        """
        with guard("claim"):
            rows = await self._pool.fetch(
                _CLAIM,
                terms.subscription,
                terms.consumer_id,
                terms.ack_deadline_s,
                most,
                terms.session_id,
                terms.max_attempts,
            )
            ids = [row["change_id"] for row in rows]
            changes = await self._pool.fetch(_AS_OF, ids) if ids else []
        found = {row["change_id"]: _as_of(row) for row in changes}
        return [
            AlertDelivery(row["delivery_id"], row["attempt"], change, found[change])
            for row in sorted(rows, key=lambda row: (-row["severity"], row["delivery_id"]))
            for change in (row["change_id"],)
        ]

    async def ack(self, subscription: str, delivery_ids: Sequence[int]) -> None:
        """These are done. Unknown ids are ignored: they were acked before, or redelivered."""
        with guard("ack_deliveries"):
            await self._pool.execute(_ACK, subscription, delivery_ids)

    async def nack(
        self,
        terms: QueueTerms,
        attempts: Sequence[tuple[int, int]],
        *,
        reason: str,
        after_s: float,
        permanent: bool,
    ) -> int:
        """Gives deliveries back, by id and attempt; one that was leased again since stays leased.

        Returns:
            How many were buried.
        """
        ids, numbers = [a[0] for a in attempts], [a[1] for a in attempts]
        name, most = terms.subscription, terms.max_attempts
        with guard("nack"):
            rows = await self._pool.fetch(
                _NACK, name, ids, numbers, reason, after_s, permanent, most
            )
        return sum(row["bury_time"] is not None for row in rows)

    async def dead_letters(
        self, subscription: str, before: int | None
    ) -> AsyncIterator[DeadLetter]:
        """Dead letters, newest first, from before a delivery_id."""
        while True:
            with guard("dead_letters"):
                rows = await self._pool.fetch(_DEAD, subscription, before, _PAGE_ROWS)
                changes = await self._pool.fetch(_AS_OF, [row["change_id"] for row in rows])
            found = {row["change_id"]: _as_of(row) for row in changes}
            for row in rows:
                yield DeadLetter(
                    delivery_id=row["delivery_id"],
                    alert=found[row["change_id"]],
                    attempts=row["attempt"],
                    reason=row["reason"],
                    bury_time_ms=millis(row["bury_time"]),
                )
            if len(rows) < _PAGE_ROWS:
                return
            before = rows[-1]["delivery_id"]

    async def redrive(self, subscription: str, delivery_ids: Sequence[int]) -> int:
        """Makes deliveries of dead letters again; how many there were."""
        with guard("redrive"):
            async with self._pool.acquire() as connection, connection.transaction():
                redriven = len(await connection.fetch(_REDRIVE, subscription, delivery_ids))
                if redriven:
                    await audit.append(
                        connection,
                        "ingest",
                        action="dead_letters.redrive",
                        subject=subscription,
                        detail=audit.changes(None, {"deliveries": redriven}),
                    )
        return redriven

    async def lag(self, subscription: str, delivered: int) -> Lag:
        """How far a subscription is behind; of its queue no more than 10,000 are counted."""
        with guard("alert_lag"):
            row = (await self._pool.fetch(_LAG, subscription, _LAG_COUNTED))[0]
        return Lag(0, row["last_change"], delivered, row["lag"])


def _as_of(row: Any) -> Alert:
    values = dict(row)
    values["state"], values["end_time"] = row["state_then"], row["end_then"]
    if row["state_then"] == AlertState.FIRING.value:
        values["end_reason"] = EndReason.OPEN.value
    values["update_time"], values["traceparent"] = row["as_of"], row["origin"]
    return alert_of(values)
