"""What the correlator knows, kept with each batch and read back by the next holder of the lease."""

from typing import TYPE_CHECKING, Any, Final

import msgspec

from mesh.postgres import guard
from services.incidents.correlator.background import Background, Rate
from services.incidents.correlator.bursts import Burst
from services.incidents.correlator.state import Held, Member, RuleGroup, State
from services.incidents.model.incident import SENSUS, IncidentState
from services.incidents.store.rows import incident_of

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.incidents.store.writing import Connection

_SAVE: Final = """
INSERT INTO incidents.correlator (body) VALUES ($1)
ON CONFLICT (singleton) DO UPDATE SET body = excluded.body
"""
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


class _Kept(msgspec.Struct):
    bursts: dict[str, Burst]
    rule_groups: dict[str, RuleGroup]
    alerts: Rate
    quiet_ms: Rate
    since_ms: int
    seen_ms: int
    busy_until_ms: int
    left_alone_ms: int


async def save(connection: "Connection", state: State, fingerprints: set[str]) -> None:
    """Keeps bursts, and the rates of these fingerprints, in the transaction of a batch."""
    background = state.background
    kept = _Kept(
        bursts=state.bursts,
        rule_groups=state.rule_groups,
        alerts=background.alerts,
        quiet_ms=background.quiet_ms,
        since_ms=background.since_ms,
        seen_ms=background.seen_ms,
        busy_until_ms=background.busy_until_ms,
        left_alone_ms=state.left_alone_ms,
    )
    await connection.execute(_SAVE, msgspec.json.encode(kept, order="deterministic"))
    rates = background.by_fingerprint
    rows = [(each, rates[each].count, rates[each].at_ms) for each in fingerprints if each in rates]
    if rows:
        await connection.execute(_RATES, *(list(column) for column in zip(*rows, strict=True)))


async def load(pool: "Pool", now_ms: int, reopen_ms: int, memory_ms: int) -> State:
    """The state as the last batch left it."""
    with guard("load_correlator"):
        async with pool.acquire() as connection, connection.transaction(readonly=True):
            body = await connection.fetchval("SELECT body FROM incidents.correlator")
            rates = await connection.fetch(
                "SELECT * FROM incidents.rate WHERE at_ms > $1", now_ms - memory_ms
            )
            firing = await connection.fetch(_FIRING)
            recent = await connection.fetch(_RECENT, now_ms - reopen_ms)
            until = {key: end for row in recent for key, end in _until(row["body"], reopen_ms)}
            held = await connection.fetch(_HELD, list(until))
    state = State() if body is None else _restored(msgspec.json.decode(body, type=_Kept))
    for row in rates:
        rate = Rate(row["count"], row["at_ms"])
        state.background.by_fingerprint[row["fingerprint"]] = rate
    for row in firing:
        state.firing_by_id[row["member_id"]] = Member(row["incident_id"], row["fingerprint"])
    for row in held:
        place = Held(row["incident_id"], until[row["incident_id"]])
        state.held_by_fingerprint[row["fingerprint"]] = place
    return state


def _until(body: bytes, reopen_ms: int) -> list[tuple[str, int | None]]:
    incident = incident_of(body)
    if incident.state is not IncidentState.RESOLVED:
        return [(incident.incident_id, None)]
    if incident.resolved_by != SENSUS:
        return []
    return [(incident.incident_id, incident.resolve_ms + reopen_ms)]


def _restored(kept: Any) -> State:
    background = Background(
        alerts=kept.alerts,
        quiet_ms=kept.quiet_ms,
        since_ms=kept.since_ms,
        seen_ms=kept.seen_ms,
        busy_until_ms=kept.busy_until_ms,
    )
    return State(
        bursts=kept.bursts,
        rule_groups=kept.rule_groups,
        background=background,
        left_alone_ms=kept.left_alone_ms,
    )
