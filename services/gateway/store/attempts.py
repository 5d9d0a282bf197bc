"""Failed log-ins, counted per user and per address."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mesh.postgres import guard
from services.gateway.store.audit import append

if TYPE_CHECKING:
    from mesh.postgres import Pool

_COUNT: Final = """
    INSERT INTO gateway.login_attempt AS a VALUES ($1, $2, 1, now())
    ON CONFLICT (kind, subject) DO UPDATE SET
        attempts = CASE WHEN a.window_start <= now() - $3::interval THEN 1 ELSE a.attempts + 1 END,
        window_start =
            CASE WHEN a.window_start <= now() - $3::interval THEN now() ELSE a.window_start END
    RETURNING attempts, extract(epoch FROM window_start + $3::interval - now())::float8 AS left_s"""
_TAKE_BACK: Final = """
    UPDATE gateway.login_attempt SET attempts = greatest(attempts - 1, 0)
    WHERE (kind, subject) IN (('address', $1), ('user', $2))"""
_PURGE: Final = "DELETE FROM gateway.login_attempt WHERE window_start <= now() - $1::interval"


class AttemptStore:
    """Counts an attempt before the password is looked at, so that parallel guesses count too."""

    def __init__(
        self, pool: "Pool", *, per_user: int = 5, per_address: int = 20, window_s: float = 900
    ) -> None:
        """Allows so many failures in a window that begins with the first one."""
        self._pool = pool
        self._limits = {"address": per_address, "user": per_user}
        self._window = timedelta(seconds=window_s)

    async def begin(self, address: str, user_name: str) -> float:
        """Counts one attempt; 0 when it may go on, else the seconds to wait."""
        wait_s = 0.0
        with guard("begin_login"):
            async with self._pool.acquire() as connection, connection.transaction():
                for kind, subject in (("address", address), ("user", user_name)):
                    row = await connection.fetchrow(_COUNT, kind, subject, self._window)
                    assert row is not None  # noqa: S101
                    over = row["attempts"] - self._limits[kind]
                    if over > 0:
                        wait_s = max(wait_s, row["left_s"])
                    if over == 1:
                        detail = {"kind": kind, "address": address}
                        await append(connection, "gateway", "login.lock", subject, detail)
        return wait_s

    async def succeeded(self, address: str, user_name: str) -> None:
        """Takes the attempt back: only failures stay counted."""
        with guard("end_login"):
            await self._pool.execute(_TAKE_BACK, address, user_name)

    async def purge(self) -> None:
        """Drops windows that are over."""
        with guard("purge_attempts"):
            await self._pool.execute(_PURGE, self._window)
