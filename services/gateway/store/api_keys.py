"""Keys of senders."""

from typing import TYPE_CHECKING, Final

import asyncpg

from mesh.errors import NotFound
from mesh.postgres import guard
from services.gateway.model import ApiKey
from services.gateway.store.audit import append

if TYPE_CHECKING:
    from mesh.postgres import Pool

_FIND: Final = """
    SELECT key_id, name, owner, scopes, requests_per_minute, created_at, revoked_at
    FROM gateway.api_key k WHERE key_hash = $1 AND revoked_at IS NULL
        AND NOT (SELECT disabled FROM gateway.account a WHERE a.user_name = k.owner)"""
_LIST: Final = """
    SELECT key_id, name, owner, scopes, requests_per_minute, created_at, revoked_at
    FROM gateway.api_key ORDER BY created_at DESC, key_id"""
_INSERT: Final = """
    INSERT INTO gateway.api_key (key_id, key_hash, name, owner, scopes, requests_per_minute)
    VALUES ($1, $2, $3, $4, $5, $6)
    RETURNING key_id, name, owner, scopes, requests_per_minute, created_at, revoked_at"""
_REVOKE: Final = """
    UPDATE gateway.api_key SET revoked_at = now() WHERE key_id = $1 AND revoked_at IS NULL
    RETURNING name"""


class ApiKeyStore:
    """API keys; only their SHA-256 is kept, which is enough: they are random and long."""

    def __init__(self, pool: "Pool") -> None:
        """Uses the gateway's pool."""
        self._pool = pool

    async def find(self, key_hash: bytes) -> ApiKey | None:
        """The key with that hash, unless it is revoked or its owner disabled."""
        with guard("find_api_key"):
            row = await self._pool.fetchrow(_FIND, key_hash)
        return _api_key(row) if row else None

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
        """Stores a new key."""
        values = (key_id, key_hash, name, owner, scopes, requests_per_minute)
        detail = {"name": name, "scopes": " ".join(sorted(scopes))}
        with guard("create_api_key"):
            async with self._pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(_INSERT, *values)
                await append(connection, f"user:{owner}", "api_key.create", key_id, detail)
        assert row is not None  # noqa: S101
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
                await append(connection, actor, "api_key.revoke", key_id, {"name": name})


def _api_key(row: asyncpg.Record) -> ApiKey:
    return ApiKey(**dict(row) | {"scopes": frozenset(row["scopes"])})
