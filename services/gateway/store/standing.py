"""Whose tokens hold, with the secrets of keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import asyncpg

from mesh.auth import Standing
from mesh.postgres import guard
from services.gateway.model import ApiKey
from services.gateway.store.audit import append

if TYPE_CHECKING:
    from mesh.postgres import Pool

ScopesByRole = Mapping[str, frozenset[str]]

_REVISION: Final = "SELECT revision FROM gateway.standing_revision"
_AFTER: Final = """
    SELECT s.subject, s.revision, s.role, s.scopes AS held_scopes, s.epoch_us, s.kept_session,
        s.ended, extract(epoch FROM s.expires_at)::float8 AS expires_at_s, k.*
    FROM gateway.standing s LEFT JOIN gateway.api_key k ON s.subject = 'key:' || k.key_id
    WHERE s.revision > $1 ORDER BY s.revision"""
_END: Final = """
    SELECT gateway.set_standing('session:' || $1, NULL, NULL, 0, '', 'logged out', now() + $2)"""
_END_FAMILY: Final = "DELETE FROM gateway.refresh_token WHERE family::text = $1"
_PURGE: Final = "DELETE FROM gateway.standing WHERE expires_at < now()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What has changed in the table.

    Attributes:
        revision: Of the newest change.
        standings: In the order of the changes.
        keys: API keys among them, with the SHA-256 of the whole key.
        complete: Whether this is all there is.
    """

    revision: int
    complete: bool
    standings: list[Standing]
    keys: list[tuple[ApiKey, bytes]]


class StandingStore:
    """Reads what the triggers of accounts and keys write, and ends sessions."""

    def __init__(self, pool: "Pool") -> None:
        """Uses the gateway's pool."""
        self._pool = pool

    async def after(self, revision: int, scopes_by_role: ScopesByRole) -> Changes:
        """All changes after a revision; all there is when the table is older than it.

        Cost: one small query when nothing has changed.
        """
        with guard("read_standing"):
            newest = int(await self._pool.fetchval(_REVISION))
            if newest == revision:
                return Changes(revision=revision, complete=False, standings=[], keys=[])
            since = revision if revision < newest else 0
            rows = await self._pool.fetch(_AFTER, since)
        return Changes(
            revision=max([newest, *(row["revision"] for row in rows)]),
            complete=since == 0,
            standings=[_standing(row, scopes_by_role) for row in rows],
            keys=[(_api_key(row), row["key_hash"]) for row in rows if row["key_id"]],
        )

    async def end_session(self, actor: str, session: str, ttl_s: float) -> None:
        """Ends a session: its refresh tokens, and access tokens that live for `ttl_s` at most."""
        with guard("end_session"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_END_FAMILY, session)
                await connection.execute(_END, session, timedelta(seconds=ttl_s))
                await append(connection, actor, "session.end", session, {})

    async def purge(self) -> None:
        """Drops ended sessions of which no token can be left."""
        with guard("purge_standing"):
            await self._pool.execute(_PURGE)


def _standing(row: asyncpg.Record, scopes_by_role: ScopesByRole) -> Standing:
    role, scopes, expires_at_s = row["role"], row["held_scopes"], row["expires_at_s"]
    return Standing(
        subject=row["subject"],
        revision=row["revision"],
        epoch_us=row["epoch_us"],
        kept_session=row["kept_session"],
        scopes=scopes_by_role[role] if role else frozenset(scopes or ()),
        ended=row["ended"],
        expires_at_s=float("inf") if expires_at_s is None else expires_at_s,
    )


def _api_key(row: asyncpg.Record) -> ApiKey:
    return ApiKey(
        key_id=row["key_id"],
        name=row["name"],
        owner=row["owner"],
        scopes=frozenset(row["scopes"]),
        requests_per_minute=row["requests_per_minute"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )
