"""Keys of senders."""

from typing import TYPE_CHECKING, Final

import asyncpg

from mesh.audit import changes
from mesh.errors import FailedPrecondition, NotFound
from mesh.postgres import guard
from services.gateway.model import ApiKey
from services.gateway.store.audit import append

if TYPE_CHECKING:
    from mesh.postgres import Pool

_LIST: Final = """
    SELECT key_id, name, owner, scopes, requests_per_minute, created_at, revoked_at
    FROM gateway.api_key ORDER BY created_at DESC, key_id"""
_INSERT: Final = """
    INSERT INTO gateway.api_key (key_id, key_hash, name, owner, scopes, requests_per_minute)
    SELECT $1, $2, $3, user_name, $5, $6 FROM gateway.account
    WHERE user_name = $4 AND NOT disabled FOR SHARE
    RETURNING key_id, name, owner, scopes, requests_per_minute, created_at, revoked_at"""
_REVOKE: Final = """
    UPDATE gateway.api_key SET revoked_at = now() WHERE key_id = $1 AND revoked_at IS NULL
    RETURNING name"""


class ApiKeyStore:
    """API keys; only their SHA-256 is kept, which is enough: they are random and long."""

    def __init__(self, pool: "Pool") -> None:
        """Uses the gateway's pool."""
        self._pool = pool

    async def list_all(self) -> list[ApiKey]:
        """All keys, newest first, revoked ones too."""
        with guard("list_api_keys"):
            rows = await self._pool.fetch(_LIST)
        return [_api_key(row) for row in rows]

    async def create(
        self,
        key_id: str,
        key_hash: bytes,
        *,
        name: str,
        owner: str,
        scopes: list[str],
        requests_per_minute: int | None,
    ) -> ApiKey:
        """Stores a new key.

        Raises:
            FailedPrecondition: NO_ACCOUNT, the owner has none, and a key ends with its owner.
        """
        values = (key_id, key_hash, name, owner, scopes, requests_per_minute)
        detail = changes(None, {"name": name, "scopes": " ".join(sorted(scopes))})
        with guard("create_api_key"):
            async with self._pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(_INSERT, *values)
                if row is None:
                    message = "your name has no account to own a key: ask an admin to make one"
                    raise FailedPrecondition(message, reason="NO_ACCOUNT")
                await append(connection, f"user:{owner}", "api_key.create", key_id, detail)
        return _api_key(row)

    async def revoke(self, actor: str, key_id: str) -> None:
        """Ends a key for good.

        Raises:
            NotFound: API_KEY_NOT_FOUND, or it was revoked before.
        """
        with guard("revoke_api_key"):
            async with self._pool.acquire() as connection, connection.transaction():
                name = await connection.fetchval(_REVOKE, key_id)
                if name is None:
                    raise NotFound("api key", key_id)
                detail = changes({"name": name}, None)
                await append(connection, actor, "api_key.revoke", key_id, detail)


def _api_key(row: asyncpg.Record) -> ApiKey:
    return ApiKey(**dict(row) | {"scopes": frozenset(row["scopes"])})
