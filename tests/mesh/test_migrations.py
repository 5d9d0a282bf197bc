"""Forward-only migrations on a real PostgreSQL."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from mesh.migrations import MigrationError, check, migrate, read_migrations
from mesh.postgres import open_pool


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two services: one with two files, one with a single one."""
    write(
        tmp_path, "ingest", "0001_start.sql", "CREATE SCHEMA ingest; CREATE TABLE ingest.a (n int);"
    )
    write(tmp_path, "ingest", "0002_more.sql", "INSERT INTO ingest.a VALUES (1);")
    write(tmp_path, "detector", "0001_start.sql", "CREATE SCHEMA detector;")
    return tmp_path


def write(directory: Path, service: str, name: str, sql: str) -> None:
    (directory / service).mkdir(exist_ok=True)
    (directory / service / name).write_text(sql)


async def fetchval(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_files_are_applied_once_and_in_order(postgres_dsn: str, directory: Path) -> None:
    services = ["ingest", "detector"]
    assert await migrate(postgres_dsn, services, directory) == [
        "ingest/0001_start.sql",
        "ingest/0002_more.sql",
        "detector/0001_start.sql",
    ]
    assert await migrate(postgres_dsn, services, directory) == []
    assert await fetchval(postgres_dsn, "SELECT count(*) FROM ingest.a") == 1


async def test_new_file_is_applied_alone(postgres_dsn: str, directory: Path) -> None:
    await migrate(postgres_dsn, ["ingest"], directory)
    write(directory, "ingest", "0003_new.sql", "INSERT INTO ingest.a VALUES (3)")
    assert await migrate(postgres_dsn, ["ingest"], directory) == ["ingest/0003_new.sql"]


async def test_a_numbering_follows_its_order_whatever_the_statistics_say(
    postgres_dsn: str, directory: Path
) -> None:
    """Of a table that was empty when it was last looked at, a nested loop seems to cost nothing."""
    await migrate(postgres_dsn, ["ingest"], directory)
    connection = await asyncpg.connect(postgres_dsn)
    try:
        await connection.execute("CREATE SEQUENCE ingest.place; ALTER TABLE ingest.a ADD p bigint")
        await connection.execute("DELETE FROM ingest.a")
        await connection.execute("VACUUM (TRUNCATE false, ANALYZE) ingest.a")
        await connection.execute("INSERT INTO ingest.a VALUES (1), (2), (3)")
        number = (
            "UPDATE ingest.a SET p = placed.p FROM (SELECT n, nextval('ingest.place') AS p"
            " FROM (SELECT n FROM ingest.a ORDER BY n DESC) AS sorted) AS placed"
            " WHERE a.n = placed.n"
        )
        plan = [row[0] for row in await connection.fetch(f"EXPLAIN {number}")]
        assert any("Nested Loop" in line for line in plan), "the case provokes nothing"
    finally:
        await connection.close()
    write(directory, "ingest", "0003_numbered.sql", number)
    await migrate(postgres_dsn, ["ingest"], directory)
    assert await fetchval(postgres_dsn, "SELECT array_agg(n ORDER BY p) FROM ingest.a") == [3, 2, 1]


async def test_concurrent_migrators_apply_each_file_once(
    postgres_dsn: str, directory: Path
) -> None:
    runs = [migrate(postgres_dsn, ["ingest", "detector"], directory) for _ in range(4)]
    applied = await asyncio.gather(*runs)
    assert sorted(map(len, applied)) == [0, 0, 0, 3]
    assert await fetchval(postgres_dsn, "SELECT count(*) FROM ingest.a") == 1


async def test_edited_file_is_refused(postgres_dsn: str, directory: Path) -> None:
    await migrate(postgres_dsn, ["ingest"], directory)
    write(directory, "ingest", "0001_start.sql", "CREATE SCHEMA ingest; -- edited")
    with pytest.raises(MigrationError, match=r"ingest/0001_start.sql was edited after it was"):
        await migrate(postgres_dsn, ["ingest"], directory)


async def test_failing_migration_leaves_nothing(postgres_dsn: str, directory: Path) -> None:
    half = "CREATE TABLE ingest.b (n int); INSERT INTO ingest.nothing VALUES (1);"
    write(directory, "ingest", "0003_half.sql", half)
    with pytest.raises(MigrationError, match=r"ingest/0003_half.sql fails: relation"):
        await migrate(postgres_dsn, ["ingest"], directory)
    assert await fetchval(postgres_dsn, "SELECT to_regclass('ingest.b')") is None
    last = "SELECT max(number) FROM sensus_meta.migrations WHERE service = 'ingest'"
    assert await fetchval(postgres_dsn, last) == 2
    write(directory, "ingest", "0003_half.sql", "CREATE TABLE ingest.b (n int)")
    assert await migrate(postgres_dsn, ["ingest"], directory) == ["ingest/0003_half.sql"]


async def test_schema_that_is_behind_stops_the_start(postgres_dsn: str, directory: Path) -> None:
    async with open_pool(postgres_dsn, application_name="test") as pool:
        with pytest.raises(MigrationError, match=r"run the migrations first, 0001_start\.sql"):
            await check(pool, "ingest", directory)
        await migrate(postgres_dsn, ["ingest"], directory)
        await check(pool, "ingest", directory)
        (directory / "ingest" / "0002_more.sql").unlink()
        await check(pool, "ingest", directory)
        with pytest.raises(MigrationError, match="the database is newer than this build"):
            await migrate(postgres_dsn, ["ingest"], directory)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("3_short.sql", "name it NNNN_what_it_does.sql"),
        ("0003_Upper.sql", "name it NNNN_what_it_does.sql"),
        ("0002_twice.sql", "expected number 0003"),
        ("0005_gap.sql", "expected number 0003"),
    ],
)
def test_names_of_files_are_checked(name: str, message: str, directory: Path) -> None:
    write(directory, "ingest", name, "SELECT 1")
    with pytest.raises(MigrationError, match=message):
        read_migrations("ingest", directory)
