"""People."""

from typing import TYPE_CHECKING, Final

import asyncpg

from mesh.audit import changes
from mesh.errors import AlreadyExists, FailedPrecondition, NotFound
from mesh.postgres import guard
from services.gateway.model import Account, Credentials
from services.gateway.store.audit import append

if TYPE_CHECKING:
    from mesh.audit import Connection
    from mesh.postgres import Pool

_FIND: Final = """
    SELECT user_name, role, disabled, created_at FROM gateway.account WHERE user_name = $1"""
_CREDENTIALS: Final = """
    SELECT user_name, role, disabled, created_at, password_hash, epoch_us
    FROM gateway.account WHERE user_name = $1"""
_LIST: Final = """
    SELECT user_name, role, disabled, created_at FROM gateway.account ORDER BY user_name"""
_INSERT: Final = """
    INSERT INTO gateway.account (user_name, password_hash, role) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING user_name, role, disabled, created_at"""
_ADMINS_LEFT: Final = "SELECT count(*) FROM gateway.account WHERE role = 'admin' AND NOT disabled"
_UPDATE: Final = """
    UPDATE gateway.account SET role = coalesce($2, role), disabled = coalesce($3, disabled),
        password_hash = coalesce($4, password_hash)
    WHERE user_name = $1 RETURNING user_name, role, disabled, created_at"""
_END_SESSIONS: Final = """
    DELETE FROM gateway.refresh_token WHERE user_name = $1 AND family::text <> $2"""
_KEEP_SESSION: Final = "SELECT set_config('sensus.kept_session', $1, true)"
_REVOKE_KEYS: Final = """
    UPDATE gateway.api_key SET revoked_at = now() WHERE owner = $1 AND revoked_at IS NULL"""
_DELETE: Final = "DELETE FROM gateway.account WHERE user_name = $1 RETURNING role"


class AccountStore:
    """Accounts; each change is one transaction with its audit entry."""

    def __init__(self, pool: "Pool") -> None:
        """Uses the gateway's pool."""
        self._pool = pool

    async def find(self, user_name: str) -> Account | None:
        """The account of that name, disabled or not."""
        with guard("find_account"):
            row = await self._pool.fetchrow(_FIND, user_name)
        return _account(row) if row else None

    async def credentials(self, user_name: str) -> Credentials | None:
        """What to check a log-in against; None for nobody."""
        with guard("find_account"):
            row = await self._pool.fetchrow(_CREDENTIALS, user_name)
        if row is None:
            return None
        *_, password_hash, epoch_us = row.values()
        account = Account(**dict(list(row.items())[:4]))
        return Credentials(account=account, password_hash=password_hash, epoch_us=epoch_us)

    async def list_all(self) -> list[Account]:
        """All accounts, by name."""
        with guard("list_accounts"):
            rows = await self._pool.fetch(_LIST)
        return [_account(row) for row in rows]

    async def create(self, actor: str, user_name: str, password_hash: str, role: str) -> Account:
        """Makes an account.

        Raises:
            AlreadyExists: USER_EXISTS.
        """
        with guard("create_account"):
            async with self._pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(_INSERT, user_name, password_hash, role)
                if row is None:
                    message = f"the user {user_name!r} exists: choose another name"
                    raise AlreadyExists(message, reason="USER_EXISTS")
                await append(
                    connection, actor, "user.create", user_name, changes(None, {"role": role})
                )
        return _account(row)

    async def create_first(self, user_name: str, password_hash: str) -> bool:
        """Makes an admin when there is no account at all; says whether it did."""
        with guard("create_account"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("LOCK gateway.account IN SHARE ROW EXCLUSIVE MODE")
                if await connection.fetchval("SELECT EXISTS (SELECT FROM gateway.account)"):
                    return False
                await connection.execute(_INSERT, user_name, password_hash, "admin")
                detail = changes(None, {"role": "admin"})
                await append(connection, "bootstrap", "user.create", user_name, detail)
        return True

    async def update(
        self,
        actor: str,
        user_name: str,
        *,
        role: str | None = None,
        disabled: bool | None = None,
        password_hash: str | None = None,
        kept_session: str = "",
    ) -> Account:
        """Changes what is not None. Sessions end with a new password and when disabled.

        `kept_session` is the one that a new password does not end.

        Raises:
            NotFound: USER_NOT_FOUND.
            FailedPrecondition: LAST_ADMIN, nobody could administrate any more.
        """
        with guard("update_account"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("LOCK gateway.account IN SHARE ROW EXCLUSIVE MODE")
                await connection.execute(_KEEP_SESSION, kept_session)
                before = await connection.fetchrow(_FIND, user_name)
                row = await connection.fetchrow(_UPDATE, user_name, role, disabled, password_hash)
                if before is None or row is None:
                    raise NotFound("user", user_name)
                await _keep_an_admin(connection)
                if disabled or password_hash:
                    await connection.execute(_END_SESSIONS, user_name, kept_session)
                detail = dict(changes(dict(before), dict(row)))
                if password_hash:
                    detail["credentials"] = "changed"
                await append(connection, actor, "user.update", user_name, detail)
        return _account(row)

    async def delete(self, actor: str, user_name: str) -> None:
        """Removes an account; its sessions and its API keys end with it.

        Raises:
            NotFound: USER_NOT_FOUND.
            FailedPrecondition: LAST_ADMIN, nobody could administrate any more.
        """
        with guard("delete_account"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("LOCK gateway.account IN SHARE ROW EXCLUSIVE MODE")
                role = await connection.fetchval(_DELETE, user_name)
                if role is None:
                    raise NotFound("user", user_name)
                await _keep_an_admin(connection)
                await connection.execute(_REVOKE_KEYS, user_name)
                detail = changes({"role": role}, None)
                await append(connection, actor, "user.delete", user_name, detail)


async def _keep_an_admin(connection: "Connection") -> None:
    if await connection.fetchval(_ADMINS_LEFT) == 0:
        message = "the last admin cannot be disabled or lose the role: make another admin first"
        raise FailedPrecondition(message, reason="LAST_ADMIN")


def _account(row: asyncpg.Record) -> Account:
    return Account(**dict(row))
