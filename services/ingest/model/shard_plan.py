"""Who should hold which shard. Pure: all sessions come to compatible plans from the same rows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A shard as the database has it. `valid` is whether its time has not run out."""

    shard: int
    session_id: str
    epoch: int
    valid: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session should do: take free shards, ask its consumer for some back."""

    take: Sequence[int]
    revoke: Sequence[int]


def plan(
    me: str, sessions: Sequence[str], leases: Sequence[Lease], revoking: Collection[int]
) -> Plan:
    """An even split: the first sessions in order hold one more when it does not come out even.

    Args:
        me: This session, one of `sessions`.
        sessions: The live sessions in an order all agree on.
        leases: All shards.
        revoking: Shards of this session that were asked back already.
    """
    share, more = divmod(len(leases), len(sessions))
    target = share + (sessions.index(me) < more)
    mine = [lease.shard for lease in leases if lease.session_id == me]
    kept = [shard for shard in mine if shard not in revoking]
    free = [lease.shard for lease in leases if _is_free(lease, me, sessions)]
    return Plan(take=free[: max(0, target - len(mine))], revoke=kept[target:])


def _is_free(lease: Lease, me: str, sessions: Sequence[str]) -> bool:
    if lease.session_id == me:
        return False
    return not lease.valid or lease.session_id not in sessions
