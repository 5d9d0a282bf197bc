"""Timers: escalations and repeats that wait for their time."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard
from services.notifier.decisions.due import DueNotices
from services.notifier.decisions.plan import StoredState
from services.notifier.model.incident import Incident
from services.notifier.model.timers import Timer, TimerKind
from services.notifier.routing.tree import Routing
from services.notifier.store.fallback import insert_with_copies
from services.notifier.store.known import known_of
from services.notifier.store.rows import incident_of

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.notifier.store.rows import Connection

Decide = Callable[[Timer, Incident, StoredState], DueNotices]

_BATCH: Final = 100
_ADD: Final = """
INSERT INTO notifier.timer (incident_id, kind, transition, step, receiver, path, unless, every_s,
    repeats_max, due_time)
SELECT $1, $2, $3, $4, $5, $6::text[], $7, $8, $9,
    least(greatest(now(), to_timestamp($10 / 1000.0) + $11 * interval '1 s'),
          now() + $11 * interval '1 s')
WHERE NOT EXISTS (SELECT FROM notifier.timer WHERE incident_id = $1 AND kind = $2 AND step = $4
    AND receiver = $5 AND path = $6::text[])
ON CONFLICT DO NOTHING
"""
_END: Final = "DELETE FROM notifier.timer WHERE incident_id = $1"
_DUE: Final = f"""
SELECT DISTINCT incident_id FROM notifier.timer WHERE due_time <= now() LIMIT {_BATCH}
"""  # noqa: S608
_LOCK: Final = """
SELECT document FROM notifier.incident WHERE incident_id = $1 FOR UPDATE SKIP LOCKED
"""
_TAKE: Final = """
DELETE FROM notifier.timer WHERE incident_id = $1 AND due_time <= now()
RETURNING incident_id, kind, transition, step, receiver, path, unless, every_s, repeats_max,
    (extract(epoch FROM due_time) * 1000)::bigint AS event_ms
"""


class Timers:
    """Fires what is due; each timer once, whichever replica comes first."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def fire(self, routing: Routing, now_ms: int, decide: Decide) -> int:
        """Turns due timers into notices and further timers; how many were due."""
        with guard("due_timers"):
            due = [row[0] for row in await self._pool.fetch(_DUE)]
        return sum([await self._fire(incident_id, routing, now_ms, decide) for incident_id in due])

    async def _fire(self, incident_id: str, routing: Routing, now_ms: int, decide: Decide) -> int:
        with guard("fire_timers"):
            async with self._pool.acquire() as connection, connection.transaction():
                document = await connection.fetchval(_LOCK, incident_id)
                if document is None:
                    return 0
                incident = incident_of(document)
                known = await known_of(connection, incident, routing, now_ms)
                rows = await connection.fetch(_TAKE, incident_id)
                for row in rows:
                    decided = decide(_timer(dict(row)), incident, known)
                    await insert_with_copies(connection, routing, decided.notices)
                    await add_timers(connection, decided.timers)
                return len(rows)


async def add_timers(connection: "Connection", timers: Iterable[Timer]) -> None:
    """Stores timers; what waits for the same already stays as it is."""
    for timer in timers:
        await connection.execute(
            _ADD,
            timer.incident_id,
            str(timer.kind),
            timer.transition,
            timer.step,
            timer.receiver,
            list(timer.path),
            timer.unless,
            timer.every_s,
            timer.repeats_max,
            float(timer.event_ms),
            timer.after_s,
        )


async def end_timers(connection: "Connection", incident_id: str) -> None:
    """No notice of this incident is due later any more."""
    await connection.execute(_END, incident_id)


def _timer(row: dict[str, object]) -> Timer:
    return Timer(
        **row  # type: ignore[arg-type]
        | {"kind": TimerKind(str(row["kind"])), "path": tuple(row["path"]), "after_s": 0.0}  # type: ignore[arg-type]
    )
