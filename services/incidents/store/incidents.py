"""Reading incidents, their members and their log."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from mesh.postgres import guard
from mesh.selector import Selector
from services.incidents.lifecycle.events import encoded, fold
from services.incidents.lifecycle.labels import routing_labels
from services.incidents.lifecycle.times import Times
from services.incidents.model.incident import Event, Incident, IncidentState, Member
from services.incidents.store.rows import COLUMNS, incident_of, member_of
from services.incidents.store.transaction import apply_members, put_incidents

if TYPE_CHECKING:
    from mesh.postgres import Pool

_GET: Final = "SELECT body FROM incidents.incident WHERE incident_id = $1"
_WANTED: Final = """state = ANY($1) AND severity >= $2 AND ($3 = '' OR owner = $3)
  AND (NOT $4 OR owner = '') AND labels @> $5
  AND ($6::bigint = 0 OR resolve_ms = 0 OR resolve_ms >= $6) AND ($7::bigint = 0 OR start_ms < $7)
  AND words LIKE ALL ($8::text[])"""
_LIST: Final = f"""
SELECT body, update_no FROM incidents.incident WHERE {_WANTED} AND update_no < $9
ORDER BY update_no DESC LIMIT $10
"""  # noqa: S608
_IDLE: Final = f"""
SELECT body, owner_seen_ms, incident_id FROM incidents.incident
WHERE {_WANTED} AND owner <> '' AND state IN (1, 2, 3)
  AND owner_seen_ms < $9 AND (owner_seen_ms, incident_id) > ($10, $11)
ORDER BY owner_seen_ms, incident_id LIMIT $12
"""  # noqa: S608
_MEMBERS: Final = f"""
SELECT {COLUMNS}, joined_no FROM incidents.member
WHERE incident_id = $1 AND (joined_no, member_id) > ($2, $3)
ORDER BY joined_no, member_id LIMIT $4
"""  # noqa: S608
_TIMELINE: Final = """
SELECT body FROM incidents.event WHERE incident_id = $1 AND event_no < $2::bigint
ORDER BY event_no DESC LIMIT $3
"""
_LABELS: Final = """
SELECT labels, is_over FROM (
    SELECT DISTINCT ON (labels) labels, is_over, joined_no FROM (
        (SELECT labels, false AS is_over, joined_no FROM incidents.member
            WHERE incident_id = $1 AND end_ms = 0 LIMIT 10 * $2)
        UNION ALL
        (SELECT labels, true AS is_over, joined_no FROM incidents.member
            WHERE incident_id = $1 AND end_ms <> 0 ORDER BY joined_no, member_id LIMIT 10 * $2)
        ) AS seen ORDER BY labels, is_over, joined_no) AS sets
ORDER BY is_over, joined_no LIMIT $2
"""
_AFTER: Final = "SELECT body FROM incidents.event WHERE event_id > $1 ORDER BY event_id LIMIT $2"
_SET_ASIDE: Final = """
CREATE TEMPORARY TABLE member_before ON COMMIT DROP AS SELECT * FROM incidents.member;
DELETE FROM incidents.member;
"""
_DIFFERENT: Final = """
SELECT count(DISTINCT member_id) FROM (
    (SELECT * FROM member_before EXCEPT SELECT * FROM incidents.member)
    UNION ALL
    (SELECT * FROM incidents.member EXCEPT SELECT * FROM member_before)) AS different
"""
_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFilter:
    """Which incidents to list; empty and 0 mean any."""

    selector: Selector
    states: tuple[int, ...] = (1, 2, 3, 4)
    min_severity: int = 0
    owner: str = ""
    unowned: bool = False
    words: tuple[str, ...] = ()
    start_ms: int = 0
    end_ms: int = 0
    idle_since_ms: int = 0

    def takes(self, incident: Incident) -> bool:
        """Whether an incident that a question found is really one of them."""
        if self.idle_since_ms and incident.owner_seen_ms >= self.idle_since_ms:
            return False
        return self.selector.matches({**incident.labels, **routing_labels(incident)})

    def question(self, query: str) -> tuple[str, list[object]]:
        """A question with `_WANTED`, and its first arguments.

        Where labels may be any, comparing those of each row with none would take as long as the
        rest.
        """
        if not self.selector.equalities():
            query = query.replace("labels @> $5", "$5::jsonb = '{}'")
        return query, [
            list(self.states),
            self.min_severity,
            self.owner,
            self.unowned,
            self.selector.equalities(),
            self.start_ms,
            self.end_ms,
            [_like(each) for each in self.words],
        ]


class IncidentStore:
    """Questions that any replica answers."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`."""
        self._pool = pool

    async def find(self, incident_id: str) -> Incident | None:
        """The incident, or the one that it is part of; None when there is none."""
        for _ in range(100):
            with guard("get_incident"):
                body = await self._pool.fetchval(_GET, incident_id)
            if body is None:
                return None
            found = incident_of(body)
            if found.state is not IncidentState.MERGED:
                return found
            incident_id = found.merged_into
        return None

    async def page(
        self, wanted: IncidentFilter, before: int, limit: int
    ) -> list[tuple[int, Incident]]:
        """Those that changed last first, each with its place, from behind `before`."""
        found: list[tuple[int, Incident]] = []
        query, arguments = wanted.question(_LIST)
        while len(found) < limit:
            size = limit if not found else _PAGE
            with guard("list_incidents"):
                rows = await self._pool.fetch(query, *arguments, before, size)
            for row in rows:
                before = row["update_no"]
                incident = incident_of(row["body"])
                if wanted.takes(incident):
                    found.append((before, incident))
            if len(rows) < size:
                break
        return found[:limit]

    async def idle(
        self, wanted: IncidentFilter, after: tuple[int, str], limit: int
    ) -> list[tuple[tuple[int, str], Incident]]:
        """Those whose owner acted last before `wanted.idle_since_ms`, oldest act first, each with
        its place, from behind `after`.
        """
        found: list[tuple[tuple[int, str], Incident]] = []
        query, arguments = wanted.question(_IDLE)
        while len(found) < limit:
            size = limit if not found else _PAGE
            with guard("list_idle"):
                rows = await self._pool.fetch(query, *arguments, wanted.idle_since_ms, *after, size)
            for row in rows:
                after = (row["owner_seen_ms"], row["incident_id"])
                incident = incident_of(row["body"])
                if wanted.takes(incident):
                    found.append((after, incident))
            if len(rows) < size:
                break
        return found[:limit]

    async def members(
        self, incident_id: str, after: tuple[int, str], limit: int
    ) -> list[tuple[int, Member]]:
        """Members in the order in which they joined, each with its place."""
        with guard("list_members"):
            rows = await self._pool.fetch(_MEMBERS, incident_id, *after, limit)
        return [(row["joined_no"], member_of(row)) for row in rows]

    async def timeline(self, incident_id: str, before_no: int, limit: int) -> list[Event]:
        """Events of one incident, newest first."""
        with guard("list_timeline"):
            rows = await self._pool.fetch(_TIMELINE, incident_id, before_no, limit)
        return [msgspec.json.decode(row["body"], type=Event) for row in rows]

    async def member_labels(
        self, incident_id: str, limit: int
    ) -> list[tuple[dict[str, str], bool]]:
        """Different label sets of members, those that fire first, and whether each does; of very
        many members, those of some.
        """
        with guard("member_labels"):
            rows = await self._pool.fetch(_LABELS, incident_id, limit)
        return [(row["labels"], not row["is_over"]) for row in rows]

    async def log(self) -> AsyncIterator[Event]:
        """The whole log, oldest first."""
        cursor = 0
        while True:
            with guard("whole_log"):
                rows = await self._pool.fetch(_AFTER, cursor, _PAGE)
            for row in rows:
                event = msgspec.json.decode(row["body"], type=Event)
                cursor = event.event_id
                yield event
            if not rows:
                return


def _like(word: str) -> str:
    """The pattern of texts in which a word stands."""
    return "%" + re.sub(r"([\\%_])", r"\\\1", word) + "%"


async def rebuild(pool: "Pool", times: Times) -> tuple[int, int]:
    """Folds the log anew into the rows of incidents and members; how many incidents there are, and
    how many rows differed. Nobody writes meanwhile; memory holds one body for each incident.
    """
    bodies: dict[str, Incident] = {}
    update_nos: dict[str, int] = {}
    with guard("rebuild"):
        async with pool.acquire() as connection, connection.transaction():
            await connection.fetch("SELECT 1 FROM incidents.head FOR UPDATE")
            await connection.execute(_SET_ASIDE)
            async for event in IncidentStore(pool).log():
                bodies[event.incident_id] = fold(bodies.get(event.incident_id), event)
                update_nos[event.incident_id] = event.event_id
                await apply_members(connection, [event])
            moved = await connection.fetchval(_DIFFERENT)
            rows = await connection.fetch("SELECT incident_id, body FROM incidents.incident")
            stored = {row["incident_id"]: row["body"] for row in rows}
            wrong = [each for key, each in bodies.items() if stored.get(key) != encoded(each)]
            await connection.execute(
                "DELETE FROM incidents.incident WHERE NOT incident_id = ANY($1)", list(bodies)
            )
            if wrong:
                await put_incidents(connection, wrong, update_nos, times)
    return len(bodies), moved + len(wrong) + len(stored.keys() - bodies.keys())
