"""People."""

from typing import TYPE_CHECKING, Final

import asyncpg

from mesh.errors import AlreadyExists, FailedPrecondition, NotFound
from mesh.postgres import guard
from services.gateway.model import Account
from services.gateway.store.audit import append

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.gateway.store.audit import Connection

_FIND: Final = """
    SELECT user_name, role, disabled, created_at FROM gateway.account WHERE user_name = $1"""
_PASSWORD_HASH: Final = "SELECT password_hash FROM gateway.account WHERE user_name = $1"  # noqa: S105
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
_END_SESSIONS: Final = "DELETE FROM gateway.refresh_token WHERE user_name = $1"


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

    async def password_hash(self, user_name: str) -> str | None:
        """The hash to check a password against; None for nobody."""
        with guard("find_account"):
            found: str | None = await self._pool.fetchval(_PASSWORD_HASH, user_name)
        return found

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
                    told = f"the user {user_name!r} exists: choose another name"
                    raise AlreadyExists(told, reason="USER_EXISTS")
                await append(connection, actor, "user.create", user_name, {"role": role})
        return _account(row)

    async def create_first(self, user_name: str, password_hash: str) -> bool:
        """Makes an admin when there is no account at all; says whether it did."""
        with guard("create_account"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("LOCK gateway.account IN SHARE ROW EXCLUSIVE MODE")
                if await connection.fetchval("SELECT EXISTS (SELECT FROM gateway.account)"):
                    return False
                await connection.execute(_INSERT, user_name, password_hash, "admin")
                await append(connection, "bootstrap", "user.create", user_name, {"role": "admin"})
        return True

    async def update(
        self,
        actor: str,
        user_name: str,
        *,
        role: str | None = None,
        disabled: bool | None = None,
        password_hash: str | None = None,
    ) -> Account:
        """Changes what is not None. Refresh tokens end with a new password and when disabled.

        Raises:
            NotFound: USER_NOT_FOUND.
            FailedPrecondition: LAST_ADMIN, nobody could administrate any more.
        """
        with guard("update_account"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("LOCK gateway.account IN SHARE ROW EXCLUSIVE MODE")
                row = await connection.fetchrow(_UPDATE, user_name, role, disabled, password_hash)
                if row is None:
                    raise NotFound("user", user_name)
                await _keep_an_admin(connection)
                if disabled or password_hash:
                    await connection.execute(_END_SESSIONS, user_name)
                changes = _changes(role, disabled, password_hash)
                await append(connection, actor, "user.update", user_name, changes)
        return _account(row)


async def _keep_an_admin(connection: "Connection") -> None:
    if await connection.fetchval(_ADMINS_LEFT) == 0:
        told = "the last admin cannot be disabled or lose the role: make another admin first"
        raise FailedPrecondition(told, reason="LAST_ADMIN")


def _changes(role: str | None, disabled: bool | None, password_hash: str | None) -> dict[str, str]:
    changes = {"role": role, "disabled": None if disabled is None else str(disabled).lower()}
    if password_hash:
        changes["credentials"] = "changed"
    return {key: value for key, value in changes.items() if value is not None}


def _account(row: asyncpg.Record) -> Account:
    return Account(**dict(row))
