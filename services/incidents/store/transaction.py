"""One transaction of the log: events, the rows that are folds of them, and cursors, all or none."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mesh.errors import Unavailable
from mesh.postgres import guard
from services.incidents import metrics
from services.incidents.lifecycle.events import born, encoded, fold
from services.incidents.lifecycle.labels import routing_labels
from services.incidents.lifecycle.timers import due_ms
from services.incidents.lifecycle.times import Times
from services.incidents.model.incident import Event, EventKind, Incident, IncidentState, Member
from services.incidents.store.rows import COLUMNS, incident_of, member_of, member_row

if TYPE_CHECKING:
    import asyncpg

    from mesh.postgres import Pool

    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

CHANNEL: Final = "incidents_event"
"""Where commits to the log are notified of."""

_LOCK: Final = "SELECT last_event, owner, fence FROM incidents.head FOR UPDATE"
_ADVANCE: Final = f"""
WITH advanced AS (UPDATE incidents.head SET last_event = $1 RETURNING 1)
SELECT pg_notify('{CHANNEL}', '') FROM advanced
"""  # noqa: S608
_GET: Final = "SELECT body FROM incidents.incident WHERE incident_id = ANY($1)"
_APPEND: Final = """
INSERT INTO incidents.event (event_id, incident_id, event_no, kind, at_ms, body)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::smallint[], $5::bigint[],
    $6::bytea[])
"""
_PUT: Final = """
INSERT INTO incidents.incident (incident_id, body, state, severity, owner, labels, suspect, words,
    start_ms, resolve_ms, update_no, owner_seen_ms)
SELECT * FROM unnest($1::text[], $2::bytea[], $3::smallint[], $4::smallint[], $5::text[],
    $6::jsonb[], $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])
ON CONFLICT (incident_id) DO UPDATE SET body = excluded.body, state = excluded.state,
    severity = excluded.severity, owner = excluded.owner, labels = excluded.labels,
    suspect = excluded.suspect, words = excluded.words, start_ms = excluded.start_ms,
    resolve_ms = excluded.resolve_ms, update_no = excluded.update_no,
    owner_seen_ms = excluded.owner_seen_ms
"""
_TIMERS: Final = """
INSERT INTO incidents.timer SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (incident_id) DO UPDATE SET due_ms = excluded.due_ms
"""
_NO_TIMERS: Final = "DELETE FROM incidents.timer WHERE incident_id = ANY($1)"
_MEMBERS: Final = f"""
INSERT INTO incidents.member ({COLUMNS}, incident_id, joined_no)
SELECT * FROM unnest($1::text[], $2::smallint[], $3::text[], $4::jsonb[], $5::smallint[],
    $6::bigint[], $7::bigint[], $8::smallint[], $9::text[], $10::text[], $11::bigint[])
ON CONFLICT (member_id) DO UPDATE SET end_ms = excluded.end_ms, severity = excluded.severity,
    incident_id = excluded.incident_id, reason = excluded.reason,
    joined_no = CASE WHEN member.incident_id = excluded.incident_id THEN member.joined_no
                ELSE excluded.joined_no END
"""  # noqa: S608
_END: Final = """
UPDATE incidents.member SET end_ms = ended.end_ms
FROM unnest($1::text[], $2::bigint[]) AS ended (member_id, end_ms)
WHERE member.member_id = ended.member_id
"""
_MERGE: Final = """
UPDATE incidents.member SET incident_id = $2, path = path || $3::bigint WHERE incident_id = $1
"""
_UNMERGE: Final = """
UPDATE incidents.member SET incident_id = $2,
    path = path[:coalesce(array_position(path, $3::bigint), 1) - 1]
WHERE incident_id = $1 AND $3 = ANY(path)
"""
_CURSOR: Final = """
INSERT INTO incidents.cursor VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET cursor = $2
"""


class LeaseLost(Unavailable):
    """Another replica has the lease."""


class IncidentTransaction:
    """An open transaction; nobody else writes meanwhile.

    `incidents` holds those that were read or changed, as they stand by now.
    """

    def __init__(self, connection: "Connection", last_event: int, times: Times) -> None:
        """`last_event` is the newest of the log."""
        self.connection = connection
        self.last_event = last_event
        self.incidents: dict[str, Incident] = {}
        self._asked: set[str] = set()
        self._times = times
        self._new: list[Event] = []
        self.written: list[Event] = []

    async def load(self, ids: Iterable[str]) -> None:
        """Reads incidents that are not read yet."""
        missing = [each for each in dict.fromkeys(ids) if each not in self._asked]
        if missing:
            self._asked.update(missing)
            for row in await self.connection.fetch(_GET, missing):
                found = incident_of(row["body"])
                self.incidents[found.incident_id] = found

    async def resolved(self, incident_id: str) -> Incident | None:
        """The incident, or the one that it is part of by now; None when there is none."""
        seen: set[str] = set()
        while incident_id not in seen:
            seen.add(incident_id)
            await self.load([incident_id])
            found = self.incidents.get(incident_id)
            if found is None or found.state is not IncidentState.MERGED:
                return found
            incident_id = found.merged_into
        return None

    def append(self, events: Sequence[Event], new: Incident | None = None) -> Incident:
        """Adds events of one incident, which begins as `new`; the incident after them."""
        for each in events:
            self.last_event += 1
            each.event_id = self.last_event
            before = self.incidents.get(each.incident_id)
            if before is None and new is not None:
                born(new, each)
            self.incidents[each.incident_id] = fold(before, each)
            self._new.append(each)
        return self.incidents[events[-1].incident_id]

    async def flush(self) -> list[Event]:
        """Writes what was appended; the events, in order."""
        events, self._new = self._new, []
        if events:
            await append_events(self.connection, events)
            for run in runs(events):
                await apply_members(self.connection, run)
            touched = {each.incident_id: each.event_id for each in events}
            changed = [self.incidents[each] for each in touched]
            await put_incidents(self.connection, changed, touched, self._times)
            await self.connection.execute(_ADVANCE, self.last_event)
            self.written += events
        return events

    async def move_cursor(self, name: str, cursor: int) -> None:
        """Everything of a watched log up to `cursor` is in this transaction or before it."""
        await self.connection.execute(_CURSOR, name, cursor)

    async def members(self, ids: Sequence[str]) -> dict[str, tuple[str, Member]]:
        """Stored members by id, each with its incident."""
        query = f"SELECT {COLUMNS}, incident_id FROM incidents.member WHERE member_id = ANY($1)"  # noqa: S608
        rows = await self.connection.fetch(query, ids)
        return {row["member_id"]: (row["incident_id"], member_of(row)) for row in rows}


@asynccontextmanager
async def writing(
    pool: "Pool", times: Times, operation: str, *, lease: tuple[str, int] | None = None
) -> AsyncIterator[IncidentTransaction]:
    """A transaction that has the head of the log.

    Raises:
        Lost: The lease (owner and fence) is another's by now.
        Unavailable: The database does not answer.
    """
    with guard(operation):
        async with pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_LOCK)
            assert row is not None  # noqa: S101
            if lease is not None and (row["owner"], row["fence"]) != lease:
                raise LeaseLost("another replica has the lease by now")
            current = IncidentTransaction(connection, row["last_event"], times)
            yield current
            await current.flush()
    metrics.count(current.written)


async def append_events(connection: "Connection", events: Sequence[Event]) -> None:
    """Rows of the log."""
    rows = [
        (e.event_id, e.incident_id, e.event_no, int(e.kind), e.at_ms, msgspec.json.encode(e))
        for e in events
    ]
    await connection.execute(_APPEND, *(list(column) for column in zip(*rows, strict=True)))


def runs(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Events whose members can be written together: none moves them, or touches one twice."""
    run: list[Event] = []
    touched: set[str] = set()
    for event in events:
        ids = {*(each.member_id for each in event.joined), *event.ended}
        moves = event.kind is EventKind.MERGED or bool(event.left)
        if run and (moves or touched & ids):
            yield run
            run, touched = [], set()
        run.append(event)
        touched |= ids
        if moves:
            yield run
            run, touched = [], set()
    if run:
        yield run


async def apply_members(connection: "Connection", run: Sequence[Event]) -> None:
    """What events of a run do to members."""
    rows = [(*member_row(m), e.incident_id, e.event_id) for e in run for m in e.joined]
    if rows:
        await connection.execute(_MEMBERS, *(list(column) for column in zip(*rows, strict=True)))
    ended = {member_id: end_ms for event in run for member_id, end_ms in event.ended.items()}
    if ended:
        await connection.execute(_END, list(ended), list(ended.values()))
    event = run[-1]
    if event.kind is EventKind.MERGED:
        into_id = event.related_ids[0]
        await connection.execute(_MERGE, event.incident_id, into_id, event.event_id)
    if event.kind is EventKind.UNDONE and event.left:
        other_id = event.related_ids[0]
        await connection.execute(_UNMERGE, event.incident_id, other_id, event.undoes)


async def put_incidents(
    connection: "Connection",
    incidents: Sequence[Incident],
    update_nos: Mapping[str, int],
    times: Times,
) -> None:
    """Rows of incidents, as folds of their logs, and when each is due."""
    rows = [incident_row(each, update_nos[each.incident_id]) for each in incidents]
    await connection.execute(_PUT, *(list(column) for column in zip(*rows, strict=True)))
    timers = {each.incident_id: due_ms(each, times) for each in incidents}
    due = {key: value for key, value in timers.items() if value is not None}
    if due:
        await connection.execute(_TIMERS, list(due), list(due.values()))
    if len(due) < len(timers):
        await connection.execute(_NO_TIMERS, [each for each in timers if each not in due])


def incident_row(incident: Incident, update_no: int) -> tuple[Any, ...]:
    """The columns of an incident."""
    cause = incident.cause
    words = [incident.title, *incident.services, cause.root_cause if cause else ""]
    suspect = cause.first_suspect if cause else ""
    labels = {**incident.labels, **routing_labels(incident)}
    return (
        incident.incident_id,
        encoded(incident),
        int(incident.state),
        incident.severity,
        incident.owner,
        labels,
        suspect,
        " ".join(words).lower(),
        incident.start_ms,
        incident.resolve_ms,
        update_no,
        incident.owner_seen_ms,
    )
