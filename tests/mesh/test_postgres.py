"""The pool and its failures, on a real PostgreSQL."""

import asyncio
import re
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from mesh import errors, postgres


async def test_jsonb_is_python_data(postgres_dsn: str) -> None:
    async with postgres.open_pool(postgres_dsn, application_name="test") as pool:
        value = {"a": [1, 2.5, None, "ä"], "b": {"c": True}}
        assert await pool.fetchval("SELECT $1::jsonb", value) == value
        assert await pool.fetchval("SELECT ($1::jsonb)->'b'->>'c'", value) == "true"
        assert await pool.fetchval("SHOW application_name") == "test"


async def test_ping_answers(postgres_dsn: str) -> None:
    async with postgres.open_pool(postgres_dsn, application_name="test") as pool:
        await postgres.ping(pool)


async def test_server_that_is_still_starting_is_asked_again() -> None:
    attempts: asyncio.Queue[None] = asyncio.Queue()

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        attempts.put_nowait(None)
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as starting:
        port = starting.sockets[0].getsockname()[1]
        dsn = f"postgresql://nobody@127.0.0.1:{port}/none?sslmode=disable"
        opening = postgres.open_pool(dsn, application_name="test", wait_s=600)
        waiting = asyncio.create_task(opening.__aenter__())
        for _ in range(3):
            await asyncio.wait_for(attempts.get(), 60)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_server_that_stays_away_is_unavailable() -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    opening = postgres.open_pool(nowhere, application_name="test", wait_s=0.0)
    with pytest.raises(errors.Unavailable) as caught:
        await opening.__aenter__()
    assert (caught.value.reason, caught.value.retry_after_s) == ("DATABASE_UNAVAILABLE", 1.0)


async def test_wrong_database_is_not_waited_for(postgres_dsn: str) -> None:
    wrong = postgres_dsn.replace("/test_", "/nothing_")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        async with postgres.open_pool(wrong, application_name="test", wait_s=30):
            pass


async def test_cut_connection_is_unavailable_and_the_pool_recovers(postgres_dsn: str) -> None:
    async with postgres.open_pool(postgres_dsn, application_name="test", max_size=2) as pool:
        killed = pool.acquire()
        async with killed as connection:
            own = await connection.fetchval("SELECT pg_backend_pid()")
            sleeping = asyncio.create_task(_guarded(connection, "SELECT pg_sleep(10)"))
            await asyncio.sleep(0.2)
            await pool.execute("SELECT pg_terminate_backend($1)", own)
            with pytest.raises(errors.Unavailable):
                await sleeping
            with pytest.raises(errors.Unavailable):
                await _guarded(connection, "SELECT 1")
        assert await pool.fetchval("SELECT 1") == 1


async def test_slow_query_is_unavailable(postgres_dsn: str) -> None:
    async with postgres.open_pool(
        postgres_dsn, application_name="test", command_timeout_s=3
    ) as pool:
        with pytest.raises(errors.Unavailable):
            await _guarded(pool, "SELECT pg_sleep(60)")


async def test_lost_race_is_a_conflict(postgres_dsn: str) -> None:
    async with postgres.open_pool(postgres_dsn, application_name="test") as pool:
        await pool.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
        async with pool.acquire() as one, pool.acquire() as two:
            transaction = one.transaction(isolation="serializable")
            await transaction.start()
            await one.fetchval("SELECT id FROM t")
            await two.execute("UPDATE t SET id = id + 1")
            with pytest.raises(errors.Conflict):
                await _guarded(one, "UPDATE t SET id = id + 10")
            await transaction.rollback()


async def test_mistake_of_ours_stays_what_it_is(postgres_dsn: str) -> None:
    async with postgres.open_pool(postgres_dsn, application_name="test") as pool:
        with pytest.raises(asyncpg.UndefinedTableError):
            await _guarded(pool, "SELECT * FROM nothing")
        with pytest.raises(asyncpg.InterfaceError, match="expects 1 argument"):
            await _guarded(pool, "SELECT $1::int")


async def test_questions_are_timed_by_operation() -> None:
    with postgres.guard("test_operation"):
        pass
    name = "sensus_postgres_operation_seconds_count"
    assert REGISTRY.get_sample_value(name, {"operation": "test_operation"}) == 1


async def _guarded(on: Any, query: str) -> Any:
    with postgres.guard("test"):
        return await on.fetchval(query)


def test_no_write_joins_a_limited_subquery() -> None:
    """A join may run its subquery once for each row, and pick other rows each time."""
    joined = re.compile(r"^\s*(?:DELETE|UPDATE)\b.*?(?<!NOT )\bIN\s*\(\s*SELECT\b.*?\bLIMIT", re.S)
    sources = [path for room in ("services", "mesh") for path in Path(room).rglob("*.py")]
    assert len(sources) > 100
    texts = [(path, statement) for path in sources for statement in _statements(path.read_text())]
    assert [str(path) for path, text in texts if joined.search(text)] == []
    assert joined.search("DELETE FROM a WHERE b IN (\n SELECT b FROM a LIMIT $2)")


def _statements(source: str) -> list[str]:
    return re.findall(r'"""(.*?)"""', source, re.S)
