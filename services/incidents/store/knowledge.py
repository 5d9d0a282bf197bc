"""What the correlator knows, kept with each batch and read back by the next holder of the lease."""

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Final

import msgspec

from mesh.postgres import guard
from services.incidents.correlator.background import Background, Rate
from services.incidents.correlator.bursts import Burst
from services.incidents.correlator.state import LastMembership, Member, RuleGroup, State
from services.incidents.model.incident import SENSUS, IncidentState
from services.incidents.store.rows import incident_of

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.incidents.store.transaction import Connection

_SAVE: Final = """
INSERT INTO incidents.correlator (body) VALUES ($1)
ON CONFLICT (singleton) DO UPDATE SET body = excluded.body
"""
_MARKS: Final = """
INSERT INTO incidents.burst_mark SELECT * FROM unnest($1::text[], $2::boolean[], $3::text[])
ON CONFLICT DO NOTHING
"""
_NO_MARKS: Final = "DELETE FROM incidents.burst_mark WHERE incident_id = ANY($1)"
_BURSTS: Final = """
INSERT INTO incidents.burst SELECT * FROM unnest($1::text[], $2::bytea[])
ON CONFLICT (incident_id) DO UPDATE SET body = excluded.body
"""
_NO_BURSTS: Final = "DELETE FROM incidents.burst WHERE incident_id = ANY($1)"
_GROUPS: Final = """
INSERT INTO incidents.rule_group SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[])
ON CONFLICT (key) DO UPDATE SET incident_id = excluded.incident_id, last_ms = excluded.last_ms
"""
_NO_GROUPS: Final = "DELETE FROM incidents.rule_group WHERE key = ANY($1)"
_RATES: Final = """
INSERT INTO incidents.rate SELECT * FROM unnest($1::text[], $2::float8[], $3::bigint[])
ON CONFLICT (fingerprint) DO UPDATE SET count = excluded.count, at_ms = excluded.at_ms
"""
_FIRING: Final = """
SELECT member_id, incident_id, fingerprint FROM incidents.member
WHERE end_ms = 0 AND incident_id <> '' ORDER BY joined_no, member_id
"""
_RECENT: Final = """
SELECT body FROM incidents.incident WHERE state IN (0, 1, 2, 3) OR (state = 4 AND resolve_ms > $1)
"""
_HELD: Final = """
SELECT fingerprint, incident_id FROM incidents.member WHERE incident_id = ANY($1)
ORDER BY joined_no, member_id
"""


class _KeptBurst(msgspec.Struct, omit_defaults=True):
    """Its marks are rows; only what older versions of the product kept has them here."""

    incident_id: str
    environment: str
    first_ms: int
    last_ms: int
    size: int
    times: list[int]
    newest_ms: int
    services: list[str] = []
    fingerprints: list[str] = []


class _Kept(msgspec.Struct):
    """Bursts and groups are rows; only what older versions kept has them here."""

    alerts: Rate
    quiet_ms: Rate
    since_ms: int
    seen_ms: int
    busy_until_ms: int
    left_alone_ms: int
    bursts: dict[str, _KeptBurst] = {}
    rule_groups: dict[str, RuleGroup] = {}


async def save(connection: "Connection", state: State, fingerprints: set[str]) -> None:
    """Keeps what was touched, and rates of these fingerprints, in the transaction of a batch."""
    background = state.background
    kept = _Kept(
        alerts=background.alerts,
        quiet_ms=background.quiet_ms,
        since_ms=background.since_ms,
        seen_ms=background.seen_ms,
        busy_until_ms=background.busy_until_ms,
        left_alone_ms=state.left_alone_ms,
    )
    await connection.execute(_SAVE, msgspec.json.encode(kept, order="deterministic"))
    await _save_bursts(connection, state)
    await _save_groups(connection, state)
    rates = background.by_fingerprint
    rows = [(each, rates[each].count, rates[each].at_ms) for each in fingerprints if each in rates]
    if rows:
        await connection.execute(_RATES, *(list(column) for column in zip(*rows, strict=True)))


async def _save_bursts(connection: "Connection", state: State) -> None:
    touched, state.touched_bursts = sorted(state.touched_bursts), set()
    there = [state.bursts[key] for key in touched if key in state.bursts]
    gone = [key for key in touched if key not in state.bursts]
    anew = gone + [burst.incident_id for burst in there if burst.fresh is None]
    if anew:
        await connection.execute(_NO_MARKS, anew)
    if gone:
        await connection.execute(_NO_BURSTS, gone)
    if there:
        bodies = [msgspec.json.encode(_kept(burst)) for burst in there]
        await connection.execute(_BURSTS, [burst.incident_id for burst in there], bodies)
    rows = [(burst.incident_id, *mark) for burst in there for mark in _fresh(burst)]
    if rows:
        await connection.execute(_MARKS, *(list(column) for column in zip(*rows, strict=True)))
    for burst in there:
        burst.fresh = []


async def _save_groups(connection: "Connection", state: State) -> None:
    touched, state.touched_groups = sorted(state.touched_groups), set()
    there = [(key, state.rule_groups[key]) for key in touched if key in state.rule_groups]
    gone = [key.encode() for key in touched if key not in state.rule_groups]
    if gone:
        await connection.execute(_NO_GROUPS, gone)
    if there:
        rows = [(key.encode(), group.incident_id, group.last_ms) for key, group in there]
        await connection.execute(_GROUPS, *(list(column) for column in zip(*rows, strict=True)))


def _fresh(burst: Burst) -> Iterable[tuple[bool, str]]:
    if burst.fresh is not None:
        return burst.fresh
    services = ((True, each) for each in sorted(burst.services))
    return chain(services, ((False, each) for each in sorted(burst.fingerprints)))


def _kept(burst: Burst) -> _KeptBurst:
    return _KeptBurst(
        incident_id=burst.incident_id,
        environment=burst.environment,
        first_ms=burst.first_ms,
        last_ms=burst.last_ms,
        size=burst.size,
        times=burst.times,
        newest_ms=burst.newest_ms,
    )


async def load(pool: "Pool", now_ms: int, reopen_ms: int, memory_ms: int) -> State:
    """The state as the last batch left it."""
    with guard("load_correlator"):
        async with pool.acquire() as connection, connection.transaction(readonly=True):
            body = await connection.fetchval("SELECT body FROM incidents.correlator")
            bursts = await connection.fetch("SELECT body FROM incidents.burst")
            marks = await connection.fetch("SELECT * FROM incidents.burst_mark")
            groups = await connection.fetch("SELECT * FROM incidents.rule_group")
            rates = await connection.fetch(
                "SELECT * FROM incidents.rate WHERE at_ms > $1", now_ms - memory_ms
            )
            firing = await connection.fetch(_FIRING)
            recent = await connection.fetch(_RECENT, now_ms - reopen_ms)
            until = {key: end for row in recent for key, end in _until(row["body"], reopen_ms)}
            held = await connection.fetch(_HELD, list(until))
    state = State() if body is None else _restored(msgspec.json.decode(body, type=_Kept))
    known = [_burst(msgspec.json.decode(row["body"], type=_KeptBurst)) for row in bursts]
    for burst in known:
        state.put(burst)
        burst.fresh = []
    for row in marks:
        burst = state.bursts[row["incident_id"]]
        (burst.services if row["is_service"] else burst.fingerprints).add(row["mark"])
    for row in groups:
        state.rule_groups[row["key"].decode()] = RuleGroup(row["incident_id"], row["last_ms"])
    state.touched_bursts.difference_update(burst.incident_id for burst in known)
    for row in rates:
        rate = Rate(row["count"], row["at_ms"])
        state.background.by_fingerprint[row["fingerprint"]] = rate
    for row in firing:
        state.firing_by_id[row["member_id"]] = Member(row["incident_id"], row["fingerprint"])
    for row in held:
        place = LastMembership(row["incident_id"], until[row["incident_id"]])
        state.held_by_fingerprint[row["fingerprint"]] = place
    return state


def _until(body: bytes, reopen_ms: int) -> list[tuple[str, int | None]]:
    incident = incident_of(body)
    if incident.state is not IncidentState.RESOLVED:
        return [(incident.incident_id, None)]
    if incident.resolved_by != SENSUS:
        return []
    return [(incident.incident_id, incident.resolve_ms + reopen_ms)]


def _restored(kept: _Kept) -> State:
    background = Background(
        alerts=kept.alerts,
        quiet_ms=kept.quiet_ms,
        since_ms=kept.since_ms,
        seen_ms=kept.seen_ms,
        busy_until_ms=kept.busy_until_ms,
    )
    state = State(background=background, left_alone_ms=kept.left_alone_ms)
    for each in kept.bursts.values():
        state.put(_burst(each))
    state.rule_groups.update(kept.rule_groups)
    state.touched_groups.update(kept.rule_groups)
    return state


def _burst(kept: _KeptBurst) -> Burst:
    return Burst(
        incident_id=kept.incident_id,
        environment=kept.environment,
        first_ms=kept.first_ms,
        last_ms=kept.last_ms,
        size=kept.size,
        times=kept.times,
        newest_ms=kept.newest_ms,
        services=set(kept.services),
        fingerprints=set(kept.fingerprints),
    )
