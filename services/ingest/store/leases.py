"""Subscriptions to samples: consumers, leases of shards, acks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mesh.auth import ADMIN, Principal
from mesh.errors import Conflict, InvalidInput, PermissionDenied
from mesh.postgres import guard
from services.ingest.model.shard_plan import Lease, plan
from services.ingest.model.subscription import HeldShard

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.ingest.store.transaction import Connection

_SUBSCRIBE: Final = """
INSERT INTO ingest.subscription (name, topic, last_change, owner) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE SET seen_at = now()
RETURNING topic, owner
"""
_LOCK: Final = "SELECT 1 FROM ingest.subscription WHERE name = $1 FOR UPDATE"
_ENTER: Final = """
INSERT INTO ingest.consumer (subscription, consumer_id, session_id, seen_at)
VALUES ($1, $2, $3, now())
ON CONFLICT (subscription, consumer_id) DO UPDATE SET session_id = $3, seen_at = now()
"""
_REPLACED: Final = """
UPDATE ingest.shard_lease SET session_id = '', expires_at = '-infinity'
WHERE subscription = $1 AND session_id = (
    SELECT session_id FROM ingest.consumer WHERE subscription = $1 AND consumer_id = $2)
"""
_SHARDS: Final = """
INSERT INTO ingest.shard_lease (subscription, shard, acked_offset, acked_total)
SELECT $1, * FROM unnest($2::smallint[], $3::bigint[], $4::bigint[])
ON CONFLICT (subscription, shard) DO UPDATE
SET acked_offset = excluded.acked_offset, acked_total = excluded.acked_total
WHERE NOT EXISTS (
    SELECT 1 FROM ingest.shard_lease AS other
    WHERE other.subscription = $1 AND other.acked_at IS NOT NULL)
"""
_OTHERS: Final = """
SELECT count(*) FROM ingest.consumer
WHERE subscription = $1 AND consumer_id <> $2 AND seen_at > now() - make_interval(secs => $3)
"""
_SEEN: Final = """
UPDATE ingest.consumer SET seen_at = now() WHERE subscription = $1 AND session_id = $2
RETURNING 1
"""
_SESSIONS: Final = """
SELECT session_id FROM ingest.consumer
WHERE subscription = $1 AND seen_at > now() - make_interval(secs => $2)
ORDER BY consumer_id
"""
_LEASES: Final = """
SELECT shard, session_id, epoch, expires_at > now() AS valid
FROM ingest.shard_lease WHERE subscription = $1 ORDER BY shard
"""
_RENEW: Final = """
UPDATE ingest.shard_lease SET expires_at = now() + make_interval(secs => $3)
WHERE subscription = $1 AND session_id = $2 AND NOT shard = ANY($4::smallint[])
"""
_TAKE: Final = """
UPDATE ingest.shard_lease
SET session_id = $2, epoch = epoch + 1, expires_at = now() + make_interval(secs => $3)
WHERE subscription = $1 AND shard = ANY($4::smallint[])
RETURNING shard, epoch, acked_offset, acked_total
"""
_RELEASE: Final = """
UPDATE ingest.shard_lease SET session_id = '', expires_at = '-infinity'
WHERE subscription = $1 AND session_id = $2 AND ($3::smallint IS NULL OR shard = $3)
"""
_HAS_ACKED: Final = """
SELECT EXISTS (
    SELECT 1 FROM ingest.shard_lease WHERE subscription = $1 AND acked_at IS NOT NULL)
"""
_LEAVE: Final = "DELETE FROM ingest.consumer WHERE subscription = $1 AND session_id = $2"
_ACK: Final = """
UPDATE ingest.shard_lease AS lease
SET acked_offset = acked.place, acked_total = acked.total, acked_at = now()
FROM unnest($3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[])
    AS acked (shard, epoch, place, total)
WHERE lease.subscription = $1 AND lease.session_id = $2 AND lease.shard = acked.shard
  AND lease.epoch = acked.epoch AND lease.acked_offset < acked.place
"""


class LeaseReplaced(Conflict):
    """The consumer has opened another stream."""

    default_reason = "CONSUMER_REPLACED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """One stream of one consumer of one subscription."""

    subscription: str
    consumer_id: str
    session_id: str
    principal: Principal

    def may_use(self, owner: str) -> bool:
        """Whether the caller may take the deliveries of a subscription that is `owner`'s."""
        return self.principal.subject == owner or ADMIN in self.principal.scopes


@dataclass(frozen=True, slots=True)
class AckedShard:
    """A shard is done up to `place`; `total` samples of it lie at or before that."""

    shard: int
    epoch: int
    place: int
    total: int


@dataclass(frozen=True, slots=True)
class Balanced:
    """What one balancing did: shards taken, to be asked back, and held before, with their epoch."""

    taken: Sequence[HeldShard]
    revoke: Sequence[int]
    held: Mapping[int, int]


class LeaseStore:
    """Who holds which shard, decided by one database for all processes, by its clock."""

    def __init__(self, pool: "Pool", *, ttl_s: float) -> None:
        """A consumer or lease that is not renewed for `ttl_s` is free."""
        self._pool = pool
        self.ttl_s = ttl_s

    async def has_acked(self, subscription: str) -> bool:
        """Whether a subscription has got somewhere, so that it goes on from there."""
        with guard("has_acked"):
            return bool(await self._pool.fetchval(_HAS_ACKED, subscription))

    async def enter(
        self, member: Membership, topic: int, places: Sequence[tuple[int, int]], last_change: int
    ) -> None:
        """Joins a subscription, making it when it is new; an older stream of the consumer loses.

        Args:
            member: Who joins.
            topic: Number of the topic.
            places: Per shard where a subscription begins that has acked nothing: offset and total.
            last_change: The same for alerts.

        Raises:
            InvalidInput: INVALID_SUBSCRIPTION when the name carries another topic.
            PermissionDenied: SUBSCRIPTION_OWNED when somebody else opened it first.
        """
        with guard("enter_subscription"):
            async with self._pool.acquire() as connection, connection.transaction():
                name, subject = member.subscription, member.principal.subject
                found = await connection.fetch(_SUBSCRIBE, name, topic, last_change, subject)
                if found[0]["topic"] != topic:
                    raise _other_topic(name)
                if not member.may_use(found[0]["owner"]):
                    raise _owned(name)
                await connection.execute(_LOCK, name)
                await self._begin(connection, member, places)
                await connection.execute(_REPLACED, name, member.consumer_id)
                await connection.execute(_ENTER, name, member.consumer_id, member.session_id)

    async def balance(self, member: Membership, revoking: Collection[int]) -> Balanced:
        """Renews what is held, takes what is free and due, and says what to ask back.

        Raises:
            Replaced: CONSUMER_REPLACED.
        """
        name, session = member.subscription, member.session_id
        with guard("balance"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_LOCK, name)
                await _still_there(connection, member)
                rows = await connection.fetch(_SESSIONS, name, self.ttl_s)
                sessions = [row["session_id"] for row in rows]
                leases = [Lease(**row) for row in await connection.fetch(_LEASES, name)]
                todo = plan(session, sessions, leases, revoking)
                asked_back = [*revoking, *todo.revoke]
                await connection.execute(_RENEW, name, session, self.ttl_s, asked_back)
                taken = await connection.fetch(_TAKE, name, session, self.ttl_s, todo.take)
        held = {lease.shard: lease.epoch for lease in leases if _is_held(lease, session, revoking)}
        return Balanced([HeldShard(*row) for row in taken], todo.revoke, held)

    async def stay(self, member: Membership) -> None:
        """Says that a consumer without shards is alive.

        Raises:
            Conflict: CONSUMER_REPLACED.
        """
        with guard("stay"):
            await _still_there(self._pool, member)

    async def release(self, member: Membership, shard: int) -> None:
        """Frees one shard at once, if it is still held."""
        with guard("release"):
            await self._pool.execute(_RELEASE, member.subscription, member.session_id, shard)

    async def leave(self, member: Membership) -> None:
        """Frees everything this stream holds."""
        with guard("leave"):
            async with self._pool.acquire() as connection, connection.transaction():
                name, session = member.subscription, member.session_id
                await connection.execute(_RELEASE, name, session, None)
                await connection.execute(_LEAVE, name, session)

    async def ack(self, member: Membership, acked: Sequence[AckedShard]) -> None:
        """Notes progress; that of a shard which has changed hands does not count."""
        columns = (
            [each.shard for each in acked],
            [each.epoch for each in acked],
            [each.place for each in acked],
            [each.total for each in acked],
        )
        with guard("ack"):
            await self._pool.execute(_ACK, member.subscription, member.session_id, *columns)

    async def _begin(
        self, connection: "Connection", member: Membership, places: Sequence[tuple[int, int]]
    ) -> None:
        name = member.subscription
        if places and not await connection.fetchval(_OTHERS, name, member.consumer_id, self.ttl_s):
            offsets, totals = [p[0] for p in places], [p[1] for p in places]
            await connection.execute(_SHARDS, name, list(range(len(places))), offsets, totals)


def _is_held(lease: Lease, session: str, revoking: Collection[int]) -> bool:
    """A lease that was asked back is not renewed, so it ends with its time."""
    return lease.session_id == session and (lease.valid or lease.shard not in revoking)


async def _still_there(connection: "Connection | Pool", member: Membership) -> None:
    if not await connection.fetchval(_SEEN, member.subscription, member.session_id):
        raise LeaseReplaced(
            f"consumer {member.consumer_id!r} has opened another stream: use one id per consumer"
        )


def _owned(name: str) -> PermissionDenied:
    message = f"subscription {name!r} belongs to another caller: choose another name"
    return PermissionDenied(message, reason="SUBSCRIPTION_OWNED")


def _other_topic(name: str) -> InvalidInput:
    message = f"subscription {name!r} carries another topic: choose another name"
    return InvalidInput(message, reason="INVALID_SUBSCRIPTION")
