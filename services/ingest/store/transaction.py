"""One bounded transaction on a connection of its own: the commit point of every write."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from mesh.errors import Unavailable
from mesh.postgres import give_up

if TYPE_CHECKING:
    from mesh.postgres import Pool

    Connection = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )


@asynccontextmanager
async def committing(pool: "Pool", timeout_s: float) -> "AsyncIterator[Connection]":
    """Commits what the block does, all or none, within `timeout_s`.

    A connection on which anything failed is given up, because a rollback on one that hangs would
    hang too. The commit may have happened all the same: a write must be told from its repeat.
    """
    async with asyncio.timeout(timeout_s):
        connection = await pool.acquire()
    try:
        async with asyncio.timeout(timeout_s):
            transaction = connection.transaction()
            await transaction.start()
            yield connection
            await transaction.commit()
    except asyncpg.InternalClientError as error:
        # how the driver puts it when a connection breaks inside COPY
        give_up(connection)
        raise ConnectionResetError from error
    except BaseException:
        give_up(connection)
        raise
    finally:
        await pool.release(connection)


def own_error(error: Exception) -> Exception:
    """The same error as another object, for each who waited: tracebacks of tasks must not mix."""
    if isinstance(error, Unavailable):
        return Unavailable(error.message, retry_after_s=error.retry_after_s, reason=error.reason)
    return error
