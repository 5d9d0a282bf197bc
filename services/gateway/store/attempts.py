"""Failed log-ins, counted per user and address, and the addresses that a user came from before."""

from typing import TYPE_CHECKING, Final

from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.postgres import Pool

_FREE: Final = 3
"""So many failures cost no time; each one more doubles the wait."""
_LONGEST_S: Final = 300

_DELAY: Final = f"""
    make_interval(secs => CASE WHEN f.failures < {_FREE} THEN 0
        ELSE least({_LONGEST_S}, 2 ^ least(f.failures - {_FREE}, 20)) END)"""
_BEGIN: Final = f"""
    INSERT INTO gateway.login_failure AS f VALUES ($1, $2, 1, now())
    ON CONFLICT (user_name, address) DO UPDATE SET failures = f.failures + 1, last_at = now()
    WHERE f.last_at + {_DELAY} <= now() OR EXISTS (
        SELECT FROM gateway.known_address k WHERE k.user_name = $1 AND k.address = $2)
    RETURNING true"""  # noqa: S608
_WAIT: Final = f"""
    SELECT extract(epoch FROM last_at + {_DELAY} - now())::float8
    FROM gateway.login_failure f WHERE user_name = $1 AND address = $2"""  # noqa: S608
_FORGIVE: Final = "DELETE FROM gateway.login_failure WHERE user_name = $1 AND address = $2"
_KNOW: Final = """
    INSERT INTO gateway.known_address VALUES ($1, $2, now())
    ON CONFLICT (user_name, address) DO UPDATE SET last_at = now()"""
_PURGE: Final = """
    WITH gone AS (DELETE FROM gateway.login_failure WHERE last_at < now() - interval '1 hour')
    DELETE FROM gateway.known_address WHERE last_at < now() - interval '90 days'"""


class AttemptStore:
    """Counts an attempt before the password is looked at, so that parallel guesses count too.

    Nobody is locked out: a stranger delays only the address that he guesses from, and from an
    address that the user has logged in from before no guess of anybody delays.
    """

    def __init__(self, pool: "Pool") -> None:
        """Uses the gateway's pool."""
        self._pool = pool

    async def begin(self, user_name: str, address: str) -> float:
        """Counts one attempt; 0 when it may go on, else the seconds to wait, and it is not counted.

        Cost: the same for users that exist and that do not.
        """
        with guard("begin_login"):
            if await self._pool.fetchval(_BEGIN, user_name, address):
                return 0.0
            wait_s: float | None = await self._pool.fetchval(_WAIT, user_name, address)
        return max(0.1, wait_s or 0.0)

    async def succeeded(self, user_name: str, address: str) -> None:
        """Forgets the failures and remembers the address."""
        with guard("end_login"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_FORGIVE, user_name, address)
                await connection.execute(_KNOW, user_name, address)

    async def purge(self) -> None:
        """Drops failures of the past, and addresses that nobody came from for three months."""
        with guard("purge_attempts"):
            await self._pool.execute(_PURGE)
