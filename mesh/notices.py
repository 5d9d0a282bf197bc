"""Word from PostgreSQL that something was committed, by whichever process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from mesh.postgres import Pool, give_up, guard


class Notices:
    """A hint, not a promise: who waits looks for itself after a while in any case."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self._heard = asyncio.Event()
        self.alive = True

    async def wait(self, timeout_s: float) -> None:
        """Returns when something was committed, or after `timeout_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._heard.wait()
        self._heard.clear()

    def hear(self, *_: Any) -> None:
        """Something was committed."""
        self._heard.set()

    def lose(self, *_: Any) -> None:
        """The connection is gone: listen anew."""
        self.alive = False
        self._heard.set()


@asynccontextmanager
async def listening(pool: Pool, channel: str) -> AsyncIterator[Notices]:
    """Holds one connection of `pool` to listen on `channel`, which committers NOTIFY.

    Raises:
        Unavailable: The database does not answer.
    """
    notices = Notices()
    with guard("listen"):
        connection = await pool.acquire()
        try:
            await connection.add_listener(channel, notices.hear)
            connection.add_termination_listener(notices.lose)
        except BaseException:
            await pool.release(connection)
            raise
    try:
        yield notices
    finally:
        with guard("listen"):
            await _let_go(pool, connection, channel, notices)


async def _let_go(pool: Pool, connection: Any, channel: str, notices: Notices) -> None:
    """A connection that was cut is back in the pool already and takes no more calls."""
    try:
        with suppress(asyncpg.InterfaceError):
            connection.remove_termination_listener(notices.lose)
            await connection.remove_listener(channel, notices.hear)
    except BaseException:
        give_up(connection)  # whether it still listens nobody knows
        raise
    finally:
        await pool.release(connection)
