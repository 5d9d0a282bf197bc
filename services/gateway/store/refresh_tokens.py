"""Refresh tokens: each is good once and gives the next; a later use ends the whole family."""

import uuid
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard
from services.gateway.model import Session
from services.gateway.secrets import hash_of, new_salt, refresh_token_after
from services.gateway.store.audit import append

if TYPE_CHECKING:
    from mesh.postgres import Pool

_INSERT: Final = """
    INSERT INTO gateway.refresh_token (token_hash, family, user_name, expires_at)
    VALUES ($1, $2, $3, now() + $4)"""
# by the clock of now, not of the beginning: the first use may have begun later and come first
_FIND: Final = """
    SELECT family, user_name, expires_at < now() AS expired, used_at IS NOT NULL AS used, next_salt,
           coalesce(
               used_at > clock_timestamp() - $2::interval AND next_salt IS NOT NULL, false
           ) AS retried
    FROM gateway.refresh_token WHERE token_hash = $1 FOR UPDATE"""
_USE: Final = """
    UPDATE gateway.refresh_token SET used_at = now(), next_salt = $2 WHERE token_hash = $1"""
_END_FAMILY: Final = "DELETE FROM gateway.refresh_token WHERE family = $1"
_END_TOKENS: Final = """
    SELECT gateway.set_standing(
        'session:' || $1, NULL, NULL, 0, '', 'logged out', now() + interval '1 day')"""
_PURGE: Final = "DELETE FROM gateway.refresh_token WHERE expires_at < now()"


class Rotation(Enum):
    """Why a refresh token gave no new one."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REUSED = "reused"


class RefreshTokenStore:
    """Hashes of refresh tokens."""

    def __init__(self, pool: "Pool") -> None:
        """Uses the gateway's pool."""
        self._pool = pool

    async def begin(self, token_hash: bytes, user_name: str, ttl_s: float) -> str:
        """Stores the first token of a log-in and names the session that begins."""
        family = uuid.uuid4()
        with guard("begin_session"):
            await self._pool.execute(
                _INSERT, token_hash, family, user_name, timedelta(seconds=ttl_s)
            )
        return str(family)

    async def rotate(
        self, token: str, ttl_s: float, retry_s: float = 0.0
    ) -> tuple[Session, str] | Rotation:
        """Trades a token for the next one of its session; why not, when it did not.

        A second use of a token ends its session, access tokens included. Within `retry_s` of the
        first it is taken for a retry, because the answer may be lost or another page of the browser
        has asked: it gets what the first one got, or what that was traded for meanwhile.
        """
        retry = timedelta(seconds=retry_s)
        with guard("rotate_session"):
            async with self._pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(_FIND, hash_of(token), retry)
                is_retry = False
                while row is not None and row["retried"]:
                    is_retry = True
                    token = refresh_token_after(token, row["next_salt"])
                    row = await connection.fetchrow(_FIND, hash_of(token), retry)
                if row is None:
                    return Rotation.UNKNOWN
                name, family = str(row["user_name"]), row["family"]
                if row["used"]:
                    await connection.execute(_END_FAMILY, family)
                    await connection.execute(_END_TOKENS, str(family))
                    await append(connection, f"user:{name}", "session.reuse", name, {})
                    return Rotation.REUSED
                if row["expired"]:
                    return Rotation.EXPIRED
                if not is_retry:
                    salt = new_salt()
                    await connection.execute(_USE, hash_of(token), salt)
                    token, ttl = refresh_token_after(token, salt), timedelta(seconds=ttl_s)
                    await connection.execute(_INSERT, hash_of(token), family, name, ttl)
        return Session(session=str(family), user_name=name), token

    async def purge(self) -> None:
        """Drops what has expired."""
        with guard("purge_sessions"):
            await self._pool.execute(_PURGE)
