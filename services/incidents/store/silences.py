"""Silences: kept, listed, ended, and what they hold back."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mesh import audit
from mesh.errors import FailedPrecondition, NotFound
from mesh.postgres import guard
from mesh.selector import Selector, parse
from services.incidents.lifecycle.joining import silenced
from services.incidents.lifecycle.times import Times
from services.incidents.model.incident import SENSUS
from services.incidents.store.rows import incident_of
from services.incidents.store.transaction import writing

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.incidents.store.transaction import Connection

LIVE_MAX: Final = 10_000
FOREVER_MS: Final = 2**62
_AT_ONCE: Final = 100
_LIVE: Final = """
SELECT body FROM incidents.silence WHERE expire_ms = 0 AND end_ms > $1 ORDER BY place
"""
_PUT: Final = """
INSERT INTO incidents.silence (silence_id, imported_id, end_ms, expire_ms, body)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (silence_id) DO UPDATE SET end_ms = excluded.end_ms, expire_ms = excluded.expire_ms,
    body = excluded.body
"""
_PAGE: Final = """
SELECT place, body FROM incidents.silence
WHERE place < $1 AND ($2 OR (expire_ms = 0 AND end_ms > $3)) ORDER BY place DESC LIMIT $4
"""
_FIRING: Final = """
SELECT member.incident_id, member.labels FROM incidents.member
JOIN incidents.incident USING (incident_id)
WHERE member.end_ms = 0 AND incident.state IN (0, 1, 2)
ORDER BY member.incident_id, member.joined_no, member.member_id
"""
_HELD: Final = """
SELECT incident_id, body FROM incidents.incident WHERE state IN (1, 2, 3) AND strpos(
    encode(body, 'escape'), '"silence_ids":["') > 0
"""


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """Holds notices of matching alerts back; `end_ms` 0 means until none of them fires."""

    silence_id: str = ""
    selector: str
    start_ms: int
    end_ms: int = 0
    reason: str
    actor: str = ""
    expire_ms: int = 0
    imported_id: str = ""
    has_held: bool = False

    def is_live(self, now_ms: int) -> bool:
        """Whether it holds anything back now."""
        begun = self.start_ms <= now_ms and not self.expire_ms
        return begun and (not self.end_ms or now_ms < self.end_ms)


class SilenceStore:
    """Questions about silences."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`."""
        self._pool = pool

    async def page(
        self, before: int, limit: int, now_ms: int, *, expired: bool
    ) -> list[tuple[int, Silence]]:
        """Newest first, from behind the place `before`."""
        with guard("list_silences"):
            rows = await self._pool.fetch(_PAGE, before, expired, now_ms, limit)
        return [(row["place"], _of(row["body"])) for row in rows]


async def put(connection: "Connection", silence: Silence, actor: str, action: str) -> Silence:
    """Keeps a silence, new when it has no id.

    Raises:
        FailedPrecondition: TOO_MANY_SILENCES.
    """
    if not silence.silence_id:
        query = "SELECT count(*) FROM incidents.silence WHERE expire_ms = 0 AND end_ms > $1"
        if await connection.fetchval(query, silence.start_ms) >= LIVE_MAX:
            message = f"there are {LIVE_MAX} silences already: expire some"
            raise FailedPrecondition(message, reason="TOO_MANY_SILENCES")
        silence = msgspec.structs.replace(silence, silence_id=uuid.uuid4().hex)
    await _write(connection, silence)
    detail = audit.changes(None, msgspec.to_builtins(silence))
    await audit.append(
        connection,
        "incidents",
        action=action,
        subject=silence.silence_id,
        detail=detail,
        actor=actor,
    )
    return silence


async def imported(connection: "Connection", imported_id: str) -> str:
    """The id of a silence that was imported before; empty for none."""
    query = "SELECT silence_id FROM incidents.silence WHERE imported_id = $1"
    return await connection.fetchval(query, imported_id) or ""


async def expire(connection: "Connection", silence_id: str, actor: str, now_ms: int) -> Silence:
    """Ends a silence now, unless it is over.

    Raises:
        NotFound: SILENCE_NOT_FOUND.
    """
    query = "SELECT body FROM incidents.silence WHERE silence_id = $1"
    body = await connection.fetchval(query, silence_id)
    if body is None:
        raise NotFound("silence", silence_id)
    found = _of(body)
    if found.expire_ms or (found.end_ms and found.end_ms <= now_ms):
        return found
    over = msgspec.structs.replace(found, expire_ms=now_ms)
    return await put(connection, over, actor, "silence.expire")


class Silencing:
    """Notes on the timeline of incidents when silences hold all of their alerts back."""

    def __init__(self, pool: "Pool", times: Times) -> None:
        """Has seen nothing yet."""
        self._pool = pool
        self._times = times
        self._selectors: dict[str, Selector] = {}

    async def round(self, now_ms: int, lease: tuple[str, int]) -> None:
        """Looks at what fires and writes what changed; costs a look at the silences when there are
        none.
        """
        with guard("silences"):
            rows = await self._pool.fetch(_LIVE, now_ms)
            live = [each for row in rows if (each := _of(row["body"])).is_live(now_ms)]
            rows = await self._pool.fetch(_HELD)
            held = {row["incident_id"]: incident_of(row["body"]).silence_ids for row in rows}
            if not live and not held:
                return
            firing = await self._pool.fetch(_FIRING) if live else []
        by_incident, matched = await self._matched(live, firing)
        wanted = {key: by_incident.get(key, []) for key in {*by_incident, *held}}
        changed = {key: ids for key, ids in wanted.items() if ids != held.get(key, [])}
        ends = [each for each in live if _moves(each, each.silence_id in matched)]
        if not changed and not ends:
            return
        async with writing(self._pool, self._times, "silence", lease=lease) as current:
            await current.load(changed)
            for incident_id, ids in sorted(changed.items()):
                incident = current.incidents.get(incident_id)
                event = silenced(incident, ids, now_ms) if incident else None
                if event is not None:
                    current.append([event])
            for silence in ends:
                await _follow(current.connection, silence, silence.silence_id in matched, now_ms)

    async def _matched(
        self, live: list[Silence], firing: Sequence[Any]
    ) -> tuple[dict[str, list[str]], set[str]]:
        """Silences by incident whose alerts are all held back, and those that hold any."""
        ids: dict[str, set[str]] = {}
        audible: set[str] = set()
        matched: set[str] = set()
        for number, row in enumerate(firing):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            labels, incident_id = row["labels"], row["incident_id"]
            holding = {s.silence_id for s in live if self._selector(s).matches(labels)}
            matched |= holding
            if holding:
                ids.setdefault(incident_id, set()).update(holding)
            else:
                audible.add(incident_id)
        return {key: sorted(value) for key, value in ids.items() if key not in audible}, matched

    def _selector(self, silence: Silence) -> Selector:
        if silence.selector not in self._selectors:
            self._selectors[silence.selector] = parse(silence.selector)
        return self._selectors[silence.selector]


def _moves(silence: Silence, holds: bool) -> bool:
    """Whether one that lasts until its alerts are over begins to hold, or is over."""
    return not silence.end_ms and silence.has_held != holds


async def _follow(connection: "Connection", silence: Silence, holds: bool, now_ms: int) -> None:
    """One that lasts until its alerts are over ends when none of them fires any more."""
    if holds:
        await _write(connection, msgspec.structs.replace(silence, has_held=True))
        return
    over = msgspec.structs.replace(silence, expire_ms=now_ms)
    await put(connection, over, SENSUS, "silence.expire")


async def _write(connection: "Connection", silence: Silence) -> None:
    end_ms = silence.end_ms or FOREVER_MS
    body = msgspec.json.encode(silence)
    row = (silence.silence_id, silence.imported_id, end_ms, silence.expire_ms, body)
    await connection.execute(_PUT, *row)


def _of(body: bytes) -> Silence:
    return msgspec.json.decode(body, type=Silence)
