"""What became of an attempt: of the notice, of its way, and of what waits behind it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard
from services.notifier.decisions.retry import RetryLimits, is_over, wait_s
from services.notifier.model.incident import Severity
from services.notifier.model.notices import Content, Event, Kind, NewNotice, Notice, Outcome
from services.notifier.routing.tree import Routing
from services.notifier.store.claims import Claim
from services.notifier.store.fallback import again, copies, copy_waiting
from services.notifier.store.rows import insert

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.notifier.store.rows import Connection

FAILURES_MAX: Final = 5
"""In a row; then the way is left alone for a while."""

PAUSE_S: Final = 30.0
PAUSE_MAX_S: Final = 300.0
_FAULT_OF_THE_NOTICE: Final = frozenset({400, 413, 422})
"""These say nothing of the way."""

_LOCK_WAY: Final = """
SELECT failures, pause_s FROM notifier.integration
WHERE receiver = $1 AND integration = $2 FOR UPDATE
"""
_SENT: Final = """
UPDATE notifier.notice SET state = 'sent', sent_time = clock_timestamp(), owner = NULL
WHERE notice_id = $1 AND attempt = $2 AND owner = $3 AND state = 'sending' RETURNING seq
"""
_FAILED: Final = """
UPDATE notifier.notice SET state = CASE WHEN $4 THEN 'failed' ELSE 'pending' END, owner = NULL,
    next_attempt = now() + $5 * interval '1 s'
WHERE notice_id = $1 AND attempt = $2 AND owner = $3 AND state = 'sending' RETURNING seq
"""
_END: Final = """
UPDATE notifier.attempt SET latency_ms = $3, status = $4, error = $5, answer = $6
WHERE notice_id = $1 AND attempt = $2
"""
_WELL: Final = """
UPDATE notifier.integration SET failures = 0, pause_s = 0, open_until = NULL, last_error = '',
    last_success = clock_timestamp()
WHERE receiver = $1 AND integration = $2
"""
_UNWELL: Final = """
UPDATE notifier.integration SET failures = failures + 1, last_error = $3, pause_s = $4,
    open_until = CASE WHEN $5 > 0 THEN now() + $5 * interval '1 s' END
WHERE receiver = $1 AND integration = $2
"""
_THREAD: Final = """
INSERT INTO notifier.thread VALUES ($1, $2, $3, $4)
ON CONFLICT (incident_id, receiver, integration) DO UPDATE SET reference = $4
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What came of it. `is_opened` is whether the way is left alone from now on."""

    counted: bool
    is_given_up: bool = False
    is_opened: bool = False


class Settlements:
    """Writes what became of attempts; who lost the claim writes nothing."""

    def __init__(self, pool: "Pool", retry_limits: RetryLimits) -> None:
        """Uses `pool` for each question."""
        self._pool = pool
        self._retry_limits = retry_limits

    async def settle(
        self, claim: Claim, outcome: Outcome, latency_ms: float, routing: Routing
    ) -> Settlement:
        """Keeps the outcome of a claim, whole or not at all."""
        notice = claim.notice
        with guard("settle_notice"):
            async with self._pool.acquire() as connection, connection.transaction():
                place = (notice.receiver, notice.integration)
                way = await connection.fetchrow(_LOCK_WAY, *place)
                failures = way["failures"] if way else 0
                pause_s = way["pause_s"] if way else 0.0
                over = not outcome.is_sent and is_over(
                    notice.severity, notice.age_s, outcome, self._retry_limits
                )
                if not await self._moved(connection, claim, outcome, over):
                    return Settlement(counted=False)
                await self._end(connection, notice, outcome, latency_ms)
                if outcome.is_sent:
                    await self._well(connection, notice, outcome)
                    return Settlement(counted=True)
                opened = await self._unwell(connection, notice, outcome, failures, pause_s)
                if opened:
                    await self._tell_fallback(connection, notice, outcome, routing)
                elif over:
                    await insert(connection, copies(routing, [again(notice)]))
                return Settlement(counted=True, is_given_up=over, is_opened=opened)

    async def _moved(
        self, connection: "Connection", claim: Claim, outcome: Outcome, over: bool
    ) -> bool:
        notice = claim.notice
        fence = (notice.notice_id, notice.attempt, claim.owner)
        if outcome.is_sent:
            return await connection.fetchval(_SENT, *fence) is not None
        again_s = wait_s(notice.attempt, outcome)
        return await connection.fetchval(_FAILED, *fence, over, again_s) is not None

    async def _end(
        self, connection: "Connection", notice: Notice, outcome: Outcome, latency_ms: float
    ) -> None:
        said = (outcome.status, outcome.error, outcome.answer)
        await connection.execute(_END, notice.notice_id, notice.attempt, latency_ms, *said)

    async def _well(self, connection: "Connection", notice: Notice, outcome: Outcome) -> None:
        place = (notice.receiver, notice.integration)
        await connection.execute(_WELL, *place)
        if outcome.reference and notice.incident_id:
            await connection.execute(_THREAD, notice.incident_id, *place, outcome.reference)

    async def _unwell(
        self,
        connection: "Connection",
        notice: Notice,
        outcome: Outcome,
        failures: int,
        pause_s: float,
    ) -> bool:
        """Counts a failure of the way; whether it is left alone from now on."""
        if outcome.of_notice or outcome.status in _FAULT_OF_THE_NOTICE:
            return False
        trips = failures + 1 >= FAILURES_MAX
        next_pause_s = min(PAUSE_MAX_S, max(PAUSE_S, 2 * pause_s)) if trips else 0.0
        open_s = max(next_pause_s, outcome.retry_after_s)
        place = (notice.receiver, notice.integration)
        await connection.execute(_UNWELL, *place, outcome.error, next_pause_s, open_s)
        return failures + 1 == FAILURES_MAX

    async def _tell_fallback(
        self, connection: "Connection", notice: Notice, outcome: Outcome, routing: Routing
    ) -> None:
        fallback = routing.receivers.get(routing.fallback)
        if fallback is None or notice.receiver == fallback.name:
            return
        way = f"{notice.integration} of receiver {notice.receiver}"
        event = Event(
            time_ms=notice.create_ms,
            text=f"{way} failed {FAILURES_MAX} times in a row: {outcome.error}. What waits for it "
            "comes here until it answers.",
        )
        notices = [
            NewNotice(
                incident_id="",
                transition=0,
                kind=Kind.RECEIVER_DOWN,
                severity=Severity.CRITICAL,
                receiver=fallback.name,
                integration=name,
                title=f"[CRITICAL] {_NAMES.get(notice.integration.partition('[')[0], way)} "
                f"does not answer (receiver {notice.receiver})",
                content=Content(event=event),
                step=f"down-{notice.notice_id}-{notice.attempt}",
            )
            for name in fallback.integrations
        ]
        await insert(connection, notices)
        await copy_waiting(connection, routing, notice.receiver, notice.integration)


_NAMES: Final = {
    "slack": "Slack",
    "pagerduty": "PagerDuty",
    "servicenow": "ServiceNow",
    "email": "The mail server",
    "webhook": "The webhook",
    "apprise": "The service behind apprise",
}
