"""Listening holds a connection of the pool, and gives it back however it ends."""

import asyncio

import asyncpg
import pytest

from mesh.errors import Unavailable
from mesh.notices import listening
from mesh.postgres import Pool, open_pool


async def one_is_free(pool: Pool) -> bool:
    """Whether a pool of one connection has it."""
    async with asyncio.timeout(60):
        return await pool.fetchval("SELECT 1") == 1


async def test_a_commit_is_heard_of_and_the_connection_comes_back(postgres_dsn: str) -> None:
    async with (
        open_pool(postgres_dsn, application_name="other") as other,
        open_pool(postgres_dsn, application_name="test", max_size=1) as pool,
    ):
        async with listening(pool, "news") as notices:
            await other.execute("NOTIFY news")
            async with asyncio.timeout(60):
                await notices.wait(120)
            assert notices.alive
        assert await one_is_free(pool)


@pytest.mark.parametrize(
    "fault", [TimeoutError("no answer"), asyncpg.ConnectionDoesNotExistError("cut meanwhile")]
)
async def test_a_connection_that_cannot_stop_listening_is_given_up_and_its_place_is_free(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    async def fails(*_: object) -> None:
        raise fault

    async with open_pool(postgres_dsn, application_name="test", max_size=1) as pool:
        monkeypatch.setattr(asyncpg.Connection, "remove_listener", fails)
        with pytest.raises(Unavailable):
            async with listening(pool, "news"):
                pass
        assert await one_is_free(pool)


async def test_a_connection_that_is_cut_as_it_begins_to_listen_is_unavailable(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(connection: asyncpg.Connection, *_: object) -> None:
        connection.terminate()

    async with open_pool(postgres_dsn, application_name="test", max_size=1) as pool:
        monkeypatch.setattr(asyncpg.Connection, "add_listener", cut)
        with pytest.raises(Unavailable):
            async with listening(pool, "news"):
                pass
        assert await one_is_free(pool)
