"""The connection pool of PostgreSQL, and its failures as errors of ours."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final, TypeAlias

import asyncpg
import msgspec

from mesh.clock import Clock
from mesh.errors import Conflict, Unavailable
from mesh.metrics import POSTGRES_DURATION, POSTGRES_LOST, POSTGRES_OPERATION

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
PooledConnection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

_RETRY_AFTER_S: Final = 1.0
_ATTEMPT_EVERY_S: Final = 0.25
_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InternalClientError,  # how asyncpg finds a connection that the server has just ended
)
_WRITE_PROBE: Final = """
CREATE TEMPORARY TABLE write_probe ON COMMIT DROP AS
SELECT repeat('x', 1500) AS line FROM generate_series(1, 170)
"""
_LOST_SIGNS: Final = ("is closed", "was closed", "is closing", "released back to the pool")
_LOST_RACE: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)

logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_pool(
    dsn: str,
    *,
    application_name: str,
    min_size: int = 1,
    max_size: int = 10,
    wait_s: float = 30.0,
    command_timeout_s: float = 30.0,
) -> AsyncIterator[Pool]:
    """A pool of connections on which jsonb is Python data.

    Waits up to `wait_s` for a server that is still starting, then raises `Unavailable`.
    """

    def fresh() -> Pool:
        return asyncpg.create_pool(
            dsn,
            min_size=min_size,
            max_size=max_size,
            command_timeout=command_timeout_s,
            server_settings={"application_name": application_name},
            init=_prepare,
            reset=_as_it_is,
        )

    pool = await _connected(fresh, wait_s)
    try:
        yield pool
    finally:
        await _close(pool)


@contextmanager
def guard(operation: str = "other") -> Iterator[None]:
    """Times one question to the database and names its failures.

    Raises:
        Unavailable: The database does not answer, or not in time; nothing may be acknowledged.
        Conflict: Another transaction won; the whole transaction can be tried again.
    """
    started_s = time.perf_counter()
    try:
        yield
    except _LOST_RACE as error:
        raise Conflict("another transaction came first: try again") from error
    except (*_AWAY, asyncpg.InterfaceError) as error:
        if not _is_away(error):
            raise
        POSTGRES_LOST.inc()
        message, reason = "the database does not answer: try again", "DATABASE_UNAVAILABLE"
        if isinstance(error, asyncpg.DiskFullError):
            message, reason = "the disk of the database is full: free space", "DATABASE_FULL"
        raise Unavailable(message, retry_after_s=_RETRY_AFTER_S, reason=reason) from error
    finally:
        took_s = time.perf_counter() - started_s
        POSTGRES_DURATION.observe(took_s)
        POSTGRES_OPERATION.labels(operation).observe(took_s)


def give_up(connection: "Connection | PooledConnection") -> None:
    """Cuts a connection whose state nobody knows; of one that is lost the pool knows already."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


async def ping(pool: Pool) -> None:
    """One round trip; a probe for `Health`."""
    with guard("ping"):
        await pool.fetchval("SELECT 1", timeout=2)


class Storage:
    """Whether the database can store more: a probe for `Health`.

    A full disk fails only writes, so a ping does not see it. Writes 256 kB and takes them back;
    while all is well not more often than every `every_s`.
    """

    def __init__(self, pool: Pool, clock: Clock, *, every_s: float = 15.0) -> None:
        """Writes through `pool`."""
        self._pool = pool
        self._clock = clock
        self._every_s = every_s
        self._good_until_s = 0.0

    async def __call__(self) -> None:
        """Returns when the database took a write just now, or a little while ago.

        Raises:
            Unavailable: It did not; the message says why.
        """
        if self._clock.monotonic_s() < self._good_until_s:
            return
        with guard("write_probe"):
            async with self._pool.acquire() as connection:
                transaction = connection.transaction()
                await transaction.start()
                try:
                    await connection.execute(_WRITE_PROBE, timeout=2)
                finally:
                    await transaction.rollback()
        self._good_until_s = self._clock.monotonic_s() + self._every_s


def _is_away(error: Exception) -> bool:
    """A lost connection is an InterfaceError like a wrong argument; only its text differs."""
    return isinstance(error, _AWAY) or any(sign in str(error) for sign in _LOST_SIGNS)


async def _prepare(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda raw: msgspec.json.decode(raw[1:]),
        format="binary",
    )


async def _as_it_is(connection: Connection) -> None:
    """Between two users of a connection asyncpg ends a transaction that was left open.

    By default it also asks the server to forget the session's settings and locks, one round trip
    more for each question. Who makes any of these takes them back.
    """


async def _connected(fresh: Callable[[], Pool], wait_s: float) -> Pool:
    give_up_s = time.monotonic() + wait_s
    while True:
        try:
            with guard("connect"):
                return await fresh()
        except Unavailable as error:
            if time.monotonic() > give_up_s:
                raise
            logger.info("waiting for PostgreSQL", extra={"cause": repr(error.__cause__)})
            await asyncio.sleep(_ATTEMPT_EVERY_S)


async def _close(pool: Pool) -> None:
    try:
        await asyncio.wait_for(pool.close(), timeout=5)
    except TimeoutError:
        logger.warning("connections were still in use; cutting them")
        pool.terminate()
