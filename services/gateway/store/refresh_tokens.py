"""Refresh tokens: each is good once and gives the next; a second use ends the whole family."""

import uuid
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard
from services.gateway.store.audit import append

if TYPE_CHECKING:
    from mesh.postgres import Pool

_INSERT: Final = """
    INSERT INTO gateway.refresh_token (token_hash, family, user_name, expires_at)
    VALUES ($1, $2, $3, now() + $4)"""
_FIND: Final = """
    SELECT family, user_name, used_at IS NOT NULL AS used, expires_at < now() AS expired
    FROM gateway.refresh_token WHERE token_hash = $1 FOR UPDATE"""
_USE: Final = "UPDATE gateway.refresh_token SET used_at = now() WHERE token_hash = $1"
_END_FAMILY: Final = "DELETE FROM gateway.refresh_token WHERE family = $1"
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

    async def begin(self, token_hash: bytes, user_name: str, ttl_s: float) -> None:
        """Stores the first token of a log-in."""
        with guard("begin_session"):
            await self._pool.execute(
                _INSERT, token_hash, uuid.uuid4(), user_name, timedelta(seconds=ttl_s)
            )

    async def rotate(self, old_hash: bytes, new_hash: bytes, ttl_s: float) -> str | Rotation:
        """Trades a token for the next one of its family; the name of its user, or why not."""
        with guard("rotate_session"):
            async with self._pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(_FIND, old_hash)
                if row is None:
                    return Rotation.UNKNOWN
                name = str(row["user_name"])
                if row["used"]:
                    await connection.execute(_END_FAMILY, row["family"])
                    await append(connection, f"user:{name}", "session.reuse", name, {})
                    return Rotation.REUSED
                if row["expired"]:
                    return Rotation.EXPIRED
                await connection.execute(_USE, old_hash)
                ttl = timedelta(seconds=ttl_s)
                await connection.execute(_INSERT, new_hash, row["family"], name, ttl)
        return name

    async def purge(self) -> None:
        """Drops what has expired."""
        with guard("purge_sessions"):
            await self._pool.execute(_PURGE)
