"""The holder of the lease: batches of changes into the log, timers, and what explanations say.

What is known in memory is that of the last commit; a batch that fails is read again from there.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from mesh.clock import Clock
from services.incidents import metrics
from services.incidents.correlator import Settings, State, close, correlate, merge, move
from services.incidents.correlator.bursts import Graph
from services.incidents.correlator.correlate import forget, reopen
from services.incidents.correlator.rules import Rule
from services.incidents.lifecycle.joining import SURE, explained, lost, merged, proposed
from services.incidents.lifecycle.members import begun, member_of, members_changed
from services.incidents.lifecycle.timers import due
from services.incidents.lifecycle.times import Times
from services.incidents.model.change import BackgroundNoise, Change, Joined, Kind, MemberEnded, over
from services.incidents.model.incident import (
    SENSUS,
    Cause,
    Event,
    EventKind,
    Incident,
    IncidentState,
    Member,
)
from services.incidents.store.knowledge import load, save
from services.incidents.store.transaction import IncidentTransaction, writing

if TYPE_CHECKING:
    from mesh.postgres import Pool

# A timer of a state that is further away than it can be was set before the clock went back.
_DUE: Final = """
(SELECT incident_id FROM incidents.timer WHERE due_ms <= $1 ORDER BY due_ms LIMIT 200)
UNION ALL
(SELECT incident_id FROM incidents.timer JOIN incidents.incident USING (incident_id)
    WHERE due_ms > $1::bigint + $2::bigint AND state IN (0, 2, 3) LIMIT 200)
"""
_ACTS: Final = """
SELECT body FROM incidents.event WHERE event_id > $1 AND kind = ANY($2) ORDER BY event_id
"""
_PLACES: Final = (
    EventKind.RESOLVED,
    EventKind.REOPENED,
    EventKind.MERGED,
    EventKind.SPLIT,
    EventKind.UNDONE,
)
_OPEN: Final = """
SELECT incident_id FROM incidents.incident WHERE state IN (0, 1, 2, 3) ORDER BY incident_id
"""
_MISSED: Final = """
SELECT member_id FROM incidents.member
WHERE end_ms = 0 AND incident_id <> '' AND kind = $1 AND NOT member_id = ANY($2)
    AND start_ms >= $3
ORDER BY joined_no, member_id
"""
_RETURNS: Final = (EventKind.REOPENED, EventKind.UNDONE)
_CLOSED: Final = (IncidentState.RESOLVED, IncidentState.MERGED)
_FORGETS_EVERY_MS: Final = 60_000
_EXPLAINED: Final = """
INSERT INTO incidents.explanation VALUES ($1, $2, $3)
ON CONFLICT (member_id) DO UPDATE SET body = excluded.body, at_ms = excluded.at_ms
"""
_CAUSES: Final = "SELECT body FROM incidents.explanation WHERE member_id = ANY($1)"
_ALIKE: Final = """
SELECT incident_id FROM incidents.incident
WHERE suspect = $1 AND state IN (0, 1, 2, 3) AND incident_id <> $2 AND abs(start_ms - $3) <= $4
ORDER BY start_ms, incident_id LIMIT 20
"""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _IncidentChange:
    """What one batch does to one incident."""

    first: Joined | None = None
    joined: dict[str, Joined] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)


class Grouping:
    """Writes as long as the lease holds; every method raises `Lost` when it does not."""

    def __init__(
        self,
        pool: "Pool",
        clock: Clock,
        settings: Settings,
        times: Times,
        lease: tuple[str, int],
    ) -> None:
        """Knows nothing before `restore`."""
        self._pool = pool
        self._clock = clock
        self._settings = settings
        self._times = times
        self._lease = lease
        self._state = State()
        self._seen = 0
        self._stale = True
        self._forgot_ms = 0
        self.rules: Sequence[Rule] = ()
        self.graph: Graph = {}

    async def changes(self, name: str, cursor: int | None, changes: Sequence[Change]) -> None:
        """Places changes of the log `name` up to `cursor` (None: it stays) in one commit.

        Raises:
            Unavailable: Nothing was written; the same changes may come again.
        """
        await self._restored()
        self._stale = True
        now_ms = self._clock.now_ms()
        async with writing(self._pool, self._times, "group", lease=self._lease) as current:
            await self._catch_up(current)
            touched = await self._place(current, changes, now_ms)
            ids = [id for each in touched.values() for id in (*each.joined, *each.ended)]
            stored = await current.members(ids)
            for incident_id, each in touched.items():
                await self._change(current, incident_id, each, stored, now_ms)
            await self._explain_joined(current, touched, now_ms)
            if cursor is not None:
                await current.move_cursor(name, cursor)
            await current.flush()
            await save(current.connection, self._state, {each.fingerprint for each in changes})
            self._seen = current.last_event
        self._stale = False
        metrics.CHANGES.inc(len(changes))

    async def begin(self, name: str, cursor: int, gap: str) -> None:
        """Follows the log `name` behind `cursor`; a gap before it is on the timeline of all that is
        open.
        """
        now_ms = self._clock.now_ms()
        async with writing(self._pool, self._times, "begin", lease=self._lease) as current:
            rows = await current.connection.fetch(_OPEN) if gap else []
            await current.load([row["incident_id"] for row in rows])
            for row in rows:
                current.append([lost(current.incidents[row["incident_id"]], gap, now_ms)])
            await current.move_cursor(name, cursor)

    async def not_among(
        self, kind: Kind, present: Sequence[Change], looks_back_ms: int
    ) -> list[Change]:
        """The ends of what fires here and is not among `present`: they were missed.

        Where `present` looks back so far only, what began before that is left as it is.
        """
        now_ms, ids = self._clock.now_ms(), [each.member_id for each in present]
        since_ms = now_ms - looks_back_ms if looks_back_ms else 0
        rows = await self._pool.fetch(_MISSED, int(kind), ids, since_ms)
        return [over(row["member_id"], kind, now_ms) for row in rows]

    async def tick(self) -> int:
        """What is due by now; how many incidents were."""
        await self._restored()
        now_ms = self._clock.now_ms()
        if abs(now_ms - self._forgot_ms) >= _FORGETS_EVERY_MS:
            forget(self._state, now_ms, self._settings)
            self._forgot_ms = now_ms
        rows = await self._pool.fetch(_DUE, now_ms, self._times.longest_ms)
        ids = [row["incident_id"] for row in rows]
        if not ids:
            return 0
        self._stale = True
        async with writing(self._pool, self._times, "tick", lease=self._lease) as current:
            await self._catch_up(current)
            await current.load(ids)
            for incident_id in ids:
                before = current.incidents.get(incident_id)
                events = due(before, now_ms, self._times) if before else []
                if events:
                    current.append(events)
                    self._learn(events)
            await current.flush()
            self._seen = current.last_event
        self._stale = False
        return len(ids)

    async def explanations(self, name: str, cursor: int, causes: Sequence[Cause]) -> None:
        """Shows what explanations of members say."""
        now_ms = self._clock.now_ms()
        async with writing(self._pool, self._times, "explain", lease=self._lease) as current:
            members = await current.members([each.member_id for each in causes])
            for cause in causes:
                body = msgspec.json.encode(cause)
                await current.connection.execute(_EXPLAINED, cause.member_id, body, now_ms)
                if cause.member_id in members:
                    await self._show(current, members[cause.member_id][0], cause, now_ms)
            await current.move_cursor(name, cursor)

    async def _restored(self) -> None:
        if not self._stale:
            return
        now_ms = self._clock.now_ms()
        self._seen = await self._pool.fetchval("SELECT last_event FROM incidents.head")
        settings = self._settings
        self._state = await load(self._pool, now_ms, settings.reopen_ms, settings.memory_ms)
        self._stale = False

    async def _catch_up(self, current: IncidentTransaction) -> None:
        """Learns what people did since the last batch."""
        if current.last_event == self._seen:
            return
        kinds = [int(each) for each in _PLACES]
        rows = await current.connection.fetch(_ACTS, self._seen, kinds)
        self._learn([msgspec.json.decode(row["body"], type=Event) for row in rows])
        for row in rows:
            event = msgspec.json.decode(row["body"], type=Event)
            if event.kind is EventKind.SPLIT or event.left:
                moved = await current.members(event.left)
                marks = [member.fingerprint for _, member in moved.values()]
                move(self._state, marks, event.incident_id, event.related_ids[0])

    def _learn(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.kind is EventKind.MERGED:
                merge(self._state, event.incident_id, event.related_ids[0])
            elif event.state == IncidentState.RESOLVED and "resolve_ms" in event.sets:
                is_ours = event.sets.get("resolved_by") == SENSUS
                until_ms = event.sets["resolve_ms"] + self._settings.reopen_ms if is_ours else 0
                close(self._state, event.incident_id, until_ms)
            elif event.kind in _RETURNS and event.state not in _CLOSED:
                reopen(self._state, event.incident_id)

    async def _place(
        self, current: IncidentTransaction, changes: Sequence[Change], now_ms: int
    ) -> dict[str, _IncidentChange]:
        touched: dict[str, _IncidentChange] = defaultdict(_IncidentChange)
        background: list[Change] = []
        for change in changes:
            placed = correlate(self._state, change, self.graph, self.rules, now_ms, self._settings)
            if isinstance(placed, Joined):
                one = touched[placed.incident_id]
                one.first = one.first or placed
                one.joined[change.member_id] = placed
                one.ended.pop(change.member_id, None)
            elif isinstance(placed, MemberEnded):
                touched[placed.incident_id].ended[placed.member_id] = placed.end_ms
            elif isinstance(placed, BackgroundNoise):
                background.append(change)
        metrics.BACKGROUND.inc(len(background))
        await current.load(touched)
        return touched

    async def _change(
        self,
        current: IncidentTransaction,
        incident_id: str,
        touched: _IncidentChange,
        stored: Mapping[str, tuple[str, Member]],
        now_ms: int,
    ) -> None:
        new = None
        before = await current.resolved(incident_id)
        if before is None:
            if touched.first is None:
                return
            before = new = begun(touched.first, now_ms)
        joined: list[Member] = []
        again: list[Member] = []
        for member_id, placed in touched.joined.items():
            member = member_of(placed)
            known = stored.get(member_id)
            if known is None or (known[1].end_ms and known[0] != before.incident_id):
                joined.append(member)
            elif known[1].end_ms:
                again.append(member)
        fires = {*(each.member_id for each in [*joined, *again])}
        ended = {
            member_id: end_ms
            for member_id, end_ms in touched.ended.items()
            if member_id in fires or (member_id in stored and not stored[member_id][1].end_ms)
        }
        if joined or again or ended:
            events = members_changed(before, joined, again, ended, now_ms, self._times)
            current.append(events, new)
            self._learn(events)

    async def _explain_joined(
        self, current: IncidentTransaction, touched: dict[str, _IncidentChange], now_ms: int
    ) -> None:
        ids = {member: key for key, each in touched.items() for member in each.joined}
        for row in await current.connection.fetch(_CAUSES, list(ids)):
            cause = msgspec.json.decode(row["body"], type=Cause)
            await self._show(current, ids[cause.member_id], cause, now_ms)

    async def _show(
        self, current: IncidentTransaction, incident_id: str, cause: Cause, now_ms: int
    ) -> None:
        before = await current.resolved(incident_id)
        event = explained(before, cause, now_ms) if before else None
        if before is None or event is None:
            return
        after = current.append([event])
        if cause.confidence >= SURE and cause.first_suspect and not after.is_over:
            await self._propose(current, after, cause.first_suspect, now_ms)

    async def _propose(
        self, current: IncidentTransaction, incident: Incident, suspect: str, now_ms: int
    ) -> None:
        """Merges by itself only what gave no notice yet."""
        near = self._times.alike_ms
        args = (suspect, incident.incident_id, incident.start_ms, near)
        ids = [row["incident_id"] for row in await current.connection.fetch(_ALIKE, *args)]
        await current.load(ids)
        for other in [current.incidents[each] for each in ids]:
            if not other.cause or other.cause.confidence < SURE or other.is_over:
                continue
            if incident.state is IncidentState.GATHERING:
                absorbed, gone = merged(other, [incident], SENSUS, now_ms)
                current.append([absorbed])
                current.append(gone)
                self._learn(gone)
                return
            for one, two in ((incident, other), (other, incident)):
                event = proposed(one, two.incident_id, now_ms)
                if event is not None:
                    incident = current.append([event]) if one is incident else incident
                    if one is other:
                        current.append([event])
