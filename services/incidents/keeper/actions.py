"""What people do, at any replica: one commit for the event, the audit entry and the answer."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from mesh import audit
from mesh.clock import Clock
from mesh.errors import AlreadyExists, Conflict, FailedPrecondition, InvalidInput, NotFound
from services.incidents.lifecycle import joining, people
from services.incidents.lifecycle.members import members_changed, opened
from services.incidents.lifecycle.times import Times
from services.incidents.model.incident import Event, EventKind, Incident, IncidentState, Member
from services.incidents.store.transaction import IncidentTransaction, writing

if TYPE_CHECKING:
    from mesh.postgres import Pool

MOST_MERGED: Final = 50
_FIND: Final = "SELECT digest, answer FROM incidents.request WHERE request_id = $1"
_KEEP: Final = "INSERT INTO incidents.request (request_id, digest, answer) VALUES ($1, $2, $3)"
_EVENT: Final = "SELECT body FROM incidents.event WHERE event_id = $1 AND incident_id = $2"
_UNDONE: Final = """
SELECT body FROM incidents.event WHERE incident_id = $1 AND kind = $2 AND event_id > $3
"""
_MOVED: Final = """
SELECT member_id FROM incidents.member WHERE incident_id = $1 AND $2 = ANY(path)
ORDER BY joined_no, member_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who asks, and what makes the call safe to repeat: id and content; an empty id does not."""

    actor: str
    request_id: str
    content: bytes

    @property
    def digest(self) -> bytes:
        """Equal for equal requests of equal callers."""
        return hashlib.sha256(self.actor.encode() + b"\0" + self.content).digest()


Work = Callable[[IncidentTransaction, int], Awaitable[bytes]]
"""Does it within a transaction at a time; gives the answer as it is kept."""


class Actions:
    """Each method gives what the answer is made of."""

    def __init__(self, pool: "Pool", clock: Clock, times: Times) -> None:
        """Writes through `pool`."""
        self._pool = pool
        self._clock = clock
        self._times = times

    async def run(self, request: Request, work: Work) -> bytes:
        """Does `work` once for a request id; the answer, the first one when it was done before.

        Raises:
            AlreadyExists: REQUEST_ID_REUSED.
            FailedPrecondition: What `people.Refused` says.
        """
        async with writing(self._pool, self._times, "act") as current:
            if request.request_id:
                row = await current.connection.fetchrow(_FIND, request.request_id)
                if row is not None:
                    return _same(row["digest"], row["answer"], request)
            try:
                answer = await work(current, self._clock.now_ms())
            except people.Refused as error:
                raise FailedPrecondition(str(error), reason=error.reason) from error
            if request.request_id:
                values = (request.request_id, request.digest, answer)
                await current.connection.execute(_KEEP, *values)
        return answer

    async def one(self, current: IncidentTransaction, incident_id: str) -> Incident:
        """The incident, or the one that it is part of; what only gathers is not there yet."""
        found = await current.resolved(incident_id)
        if found is None:
            raise NotFound("incident", incident_id)
        return found

    async def act(
        self,
        current: IncidentTransaction,
        events: Sequence[Event],
        actor: str,
        new: Incident | None = None,
    ) -> Incident:
        """Writes events of one incident, with an entry of the audit log for the first."""
        after = current.append(events, new)
        first = events[0]
        detail = audit.changes(first.undo or None, {k: first.sets[k] for k in first.undo} or None)
        await audit.append(
            current.connection,
            "incidents",
            action=f"incident.{first.kind.name.lower()}",
            subject=after.incident_id,
            detail={**detail, "text": first.text[:500]},
            actor=actor,
        )
        return after

    async def update(
        self,
        current: IncidentTransaction,
        incident_id: str,
        etag: str,
        actor: str,
        now_ms: int,
        **to: object,
    ) -> Incident:
        """Changes fields of what nobody else has changed since.

        Raises:
            Conflict: ETAG_STALE.
        """
        before = await self.one(current, incident_id)
        if etag != etag_of(before):
            raise Conflict("the incident has changed: read it again", reason="ETAG_STALE")
        event = people.update(before, actor, now_ms, **to)  # type: ignore[arg-type]
        return await self.act(current, [event], actor)

    async def merge(
        self,
        current: IncidentTransaction,
        into_id: str,
        ids: Sequence[str],
        actor: str,
        now_ms: int,
    ) -> Incident:
        """Makes incidents part of one.

        Raises:
            InvalidInput: INVALID_MERGE.
            FailedPrecondition: INCIDENT_MERGED, INCIDENT_RESOLVED.
        """
        if not 1 <= len(ids) <= MOST_MERGED or len({into_id, *ids}) != len(ids) + 1:
            message = f"incident_ids: name 1 to {MOST_MERGED} others, each once"
            raise InvalidInput(message, reason="INVALID_MERGE")
        await current.load([into_id, *ids])
        found = [await self._unmerged(current, each) for each in [into_id, *ids]]
        if found[0].is_over and not all(each.is_over for each in found[1:]):
            message = (
                f"{into_id} is over and others are not: reopen it, or merge it into one of them"
            )
            raise people.Refused("INCIDENT_RESOLVED", message)
        absorbed, gone = joining.merged(found[0], found[1:], actor, now_ms)
        await self.act(current, [absorbed], actor)
        for each in gone:
            current.append([each])
        return current.incidents[into_id]

    async def _unmerged(self, current: IncidentTransaction, incident_id: str) -> Incident:
        await current.load([incident_id])
        found = current.incidents.get(incident_id)
        if found is None:
            raise NotFound("incident", incident_id)
        if found.state is IncidentState.MERGED:
            message = f"{incident_id} is part of {found.merged_into} already: name that one"
            raise FailedPrecondition(message, reason="INCIDENT_MERGED")
        return found

    async def split(
        self,
        current: IncidentTransaction,
        incident_id: str,
        ids: Sequence[str],
        actor: str,
        now_ms: int,
    ) -> tuple[Incident, Incident]:
        """Takes members out: the incident that they leave, and the new one.

        Raises:
            InvalidInput: INVALID_SPLIT.
            NotFound: MEMBER_NOT_FOUND.
        """
        before = await self.one(current, incident_id)
        stored = await current.members(list(ids))
        members: list[Member] = []
        for each in dict.fromkeys(ids):
            if each not in stored or stored[each][0] != before.incident_id:
                raise NotFound("member", each)
            members.append(stored[each][1])
        if len(members) == before.member_count:
            raise InvalidInput("member_ids: leave at least one", reason="INVALID_SPLIT")
        seed = f"{current.last_event}/{members[0].member_id}"
        new_id = f"i-{hashlib.sha256(seed.encode()).hexdigest()[:16]}"
        gone, new, rows = joining.split(before, new_id, members, actor, now_ms)
        after = await self.act(current, [gone], actor)
        firing = [each for each in rows if not each.end_ms]
        over = [each for each in rows if each.end_ms]
        ended = {each.member_id: each.end_ms for each in over}
        events = members_changed(new, rows, [], ended, now_ms, self._times)
        made = current.append(events, new)
        if made.state is IncidentState.GATHERING:
            made = current.append(opened(made, now_ms, self._times))
        assert len(firing) == made.firing_count  # noqa: S101
        return after, made

    async def undo(
        self, current: IncidentTransaction, incident_id: str, event_id: int, actor: str, now_ms: int
    ) -> Incident:
        """Takes a change back.

        Raises:
            NotFound: EVENT_NOT_FOUND.
            FailedPrecondition: CANNOT_UNDO.
        """
        body = await current.connection.fetchval(_EVENT, event_id, incident_id)
        if body is None:
            before = await self.one(current, incident_id)
            body = await current.connection.fetchval(_EVENT, event_id, before.incident_id)
        if body is None:
            raise NotFound("event", str(event_id))
        done = msgspec.json.decode(body, type=Event)
        _check_can_undo(done, now_ms, self._times)
        rows = await current.connection.fetch(
            _UNDONE, done.incident_id, int(EventKind.UNDONE), event_id
        )
        if any(msgspec.json.decode(row["body"], type=Event).undoes == event_id for row in rows):
            raise people.Refused("CANNOT_UNDO", "it was taken back already")
        await current.load([done.incident_id])
        before = current.incidents[done.incident_id]
        if done.kind is EventKind.MERGED:
            return await self._unmerge(current, before, done, actor, now_ms)
        return await self.act(current, [people.undo(before, done, actor, now_ms)], actor)

    async def _unmerge(
        self, current: IncidentTransaction, other: Incident, done: Event, actor: str, now_ms: int
    ) -> Incident:
        into_id = done.related_ids[0]
        into = await self._unmerged(current, into_id)
        moved = await current.connection.fetch(_MOVED, into_id, done.event_id)
        members = await current.members([row["member_id"] for row in moved])
        rows = [member for _, member in members.values()]
        stays, back = joining.unmerged(into, other, done, rows, actor, now_ms)
        await self.act(current, [stays], actor)
        return current.append([back])


def etag_of(incident: Incident) -> str:
    """Changes with every event."""
    return f"{incident.event_no}"


def _check_can_undo(done: Event, now_ms: int, times: Times) -> None:
    if not done.undo:
        raise people.Refused("CANNOT_UNDO", f"{done.kind.name.lower()} cannot be taken back")
    if now_ms - done.at_ms > times.undo_ms:
        raise people.Refused("CANNOT_UNDO", "it is more than 24 hours ago")


def _same(digest: bytes, answer: bytes, request: Request) -> bytes:
    if digest != request.digest:
        message = "request_id was used for another change: send a new one"
        raise AlreadyExists(message, reason="REQUEST_ID_REUSED")
    return answer
