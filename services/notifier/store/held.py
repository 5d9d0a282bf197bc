"""Notices that are held back: let go when nothing holds them, dropped when it is too late."""

from typing import TYPE_CHECKING, Final

from mesh.postgres import guard
from services.notifier.decisions.held import Verdict, judge
from services.notifier.routing.tree import Routing
from services.notifier.store.known import known_of
from services.notifier.store.rows import COLUMNS, incident_of, notice_of

if TYPE_CHECKING:
    from mesh.postgres import Pool

_BATCH: Final = 200
_WHOSE: Final = f"""
SELECT DISTINCT incident_id FROM notifier.notice WHERE state = 'held' AND incident_id > $1
ORDER BY incident_id LIMIT {_BATCH}
"""  # noqa: S608
_LOCK: Final = """
SELECT document FROM notifier.incident WHERE incident_id = $1 FOR UPDATE SKIP LOCKED
"""
_HELD: Final = f"""
SELECT {COLUMNS} FROM notifier.notice WHERE incident_id = $1 AND state = 'held' ORDER BY seq
"""  # noqa: S608
_LET_GO: Final = """
UPDATE notifier.notice SET state = 'pending', held_by = '', next_attempt = now(), ready_time = now()
WHERE notice_id = ANY($1::uuid[]) AND state = 'held'
"""
_DROP: Final = """
UPDATE notifier.notice SET state = 'dropped' WHERE notice_id = ANY($1::uuid[]) AND state = 'held'
"""


class HeldNotices:
    """Looks again at what is held back."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def judge(self, routing: Routing, now_ms: int) -> int:
        """Looks at all of it once; how many were let go."""
        let_go, last = 0, ""
        while True:
            with guard("list_held"):
                found = [row[0] for row in await self._pool.fetch(_WHOSE, last)]
            for incident_id in found:
                let_go += await self._judge(incident_id, routing, now_ms)
            if len(found) < _BATCH:
                return let_go
            last = found[-1]

    async def _judge(self, incident_id: str, routing: Routing, now_ms: int) -> int:
        with guard("judge_held"):
            async with self._pool.acquire() as connection, connection.transaction():
                document = await connection.fetchval(_LOCK, incident_id)
                if document is None:
                    return 0
                incident = incident_of(document)
                known = await known_of(connection, incident, routing, now_ms)
                rows = await connection.fetch(_HELD, incident_id)
                verdicts = judge([notice_of(row) for row in rows], incident, known)
                let_go = [each for each, said in verdicts if said is Verdict.LET_GO]
                dropped = [each for each, said in verdicts if said is Verdict.DROP]
                await connection.execute(_LET_GO, let_go)
                await connection.execute(_DROP, dropped)
        return len(let_go)
