"""What a real PostgreSQL logs of many statements and mistakes, with the place in its source."""

import asyncio
import csv
import random
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import asyncpg

from cli.embedded.postgres import EmbeddedPostgres

LINES: Final = 2000
_SETTINGS: Final = {
    "logging_collector": "on",
    "log_destination": "csvlog",
    "log_directory": "/",
    "log_file_mode": "0644",
    "log_filename": "lines.log",
    "log_error_verbosity": "verbose",
    "log_min_messages": "debug1",
    "log_connections": "all",
    "log_disconnections": "on",
    "log_lock_waits": "on",
    "log_temp_files": "0",
    "log_checkpoints": "on",
    "log_autovacuum_min_duration": "0",
    "log_replication_commands": "on",
    "deadlock_timeout": "20ms",
    "autovacuum_naptime": "1",
    "statement_timeout": "500ms",
    "work_mem": "64kB",
    "track_activity_query_size": "1024",
}
_TEXT, _PLACE, _STATE = 13, 21, 12
"""Columns of csvlog."""


async def lines() -> list[tuple[str, str]]:
    """Lines and the places that wrote them, in their order."""
    with tempfile.TemporaryDirectory(prefix="sensus-templates-") as made:
        directory = Path(made)
        directory.chmod(0o755)  # noqa: ASYNC240 - nothing else runs
        logs = directory / "logs"
        logs.mkdir()
        logs.chmod(0o777)  # the server runs as another user when we are root
        settings = {**_SETTINGS, "log_directory": str(logs)}
        async with EmbeddedPostgres(directory / "postgres", settings=settings) as postgres:
            await asyncio.wait_for(_drive(postgres.dsn), 60)
        return [
            (f"{row[_PLACE]} {row[_STATE]}", row[_TEXT])
            for file in sorted(logs.glob("*.csv"))
            for row in csv.reader(file.read_text(errors="replace").splitlines(keepends=True))
            if len(row) > _PLACE
        ]


async def _drive(dsn: str) -> None:
    chance = random.Random(13)
    setup = await asyncpg.connect(dsn)
    await setup.execute(_TABLES)
    for _ in range(90):
        connection = await asyncpg.connect(dsn)
        statements = list(_statements(chance))
        chance.shuffle(statements)
        for statement in statements[: chance.randint(5, 30)]:
            with suppress(asyncpg.PostgresError):
                await connection.execute(statement)
        with suppress(asyncpg.PostgresError, OSError):
            await asyncpg.connect(dsn, database=_word(chance))
        await connection.close()
    for _ in range(8):
        await _locked(dsn, chance)
        with suppress(asyncpg.PostgresError):
            await setup.execute("CHECKPOINT; VACUUM ANALYZE items")
    pid = await setup.fetchval("SELECT pg_backend_pid()")
    other = await asyncpg.connect(dsn)
    await other.execute("SELECT pg_terminate_backend($1::int)".replace("$1", str(pid)))
    await other.close()


async def _locked(dsn: str, chance: random.Random) -> None:
    """Two that wait for each other; one is stopped."""
    first, second = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    one, two = chance.sample(range(1, 50), 2)

    async def work(connection: Any, rows: tuple[int, int]) -> None:
        with suppress(asyncpg.PostgresError):
            async with connection.transaction():
                for row in rows:
                    await connection.execute(f"UPDATE items SET n = n + 1 WHERE id = {row}")
                    await asyncio.sleep(0.05)

    await asyncio.gather(work(first, (one, two)), work(second, (two, one)))
    await first.close()
    await second.close()


_WORDS: Final = tuple(
    "".join(letters.choice("abcdefghijklmnoprstuvw") for _ in range(letters.randint(3, 9)))
    for letters in [random.Random(7)]
    for _ in range(40)
)
_TABLES: Final = """
CREATE TABLE items (id int PRIMARY KEY, name varchar(12) NOT NULL, n int CHECK (n < 1000000));
CREATE TABLE orders (id int PRIMARY KEY, item int REFERENCES items, at timestamptz);
INSERT INTO items SELECT g, 'n' || g, g FROM generate_series(1, 200) g;
CREATE FUNCTION shout(t text) RETURNS int LANGUAGE plpgsql AS
    $$ BEGIN RAISE WARNING 'shop is short of %', t; RETURN 1; END $$;
CREATE ROLE guest;
"""


def _statements(chance: random.Random) -> Iterator[str]:
    word, number = partial(_word, chance), partial(chance.randint, 1, 5000)
    yield f"SELECT {word()} FROM items"
    yield f"SELECT * FROM {word()}"
    yield f"SELECT * FROM {word()}.{word()}"
    yield f"SELECT {word()}({number()})"
    yield f"SELECT {word()}.id FROM items"
    yield f"SELEC {word()}"
    yield f"SELECT 1 FROM items WHERE name = '{word()}"
    yield f"SELECT * FROM items ORDER BY {number()}"
    yield f"SELECT {number()} / 0"
    yield f"SELECT '{word()}'::int"
    yield f"SELECT '{word()}'::timestamptz"
    yield f"SELECT '{number()}-45-99'::date"
    yield f"SELECT '{{{word()}'::json"
    yield f"SELECT '{word()}'::uuid"
    yield f"SELECT {number()}::smallint * 30000::smallint"
    yield f"SELECT 9223372036854775807 + {number()}"
    yield f"INSERT INTO items VALUES ({chance.randint(1, 200)}, '{word()}', 1)"
    yield f"INSERT INTO items VALUES ({number() + 1000}, NULL, 1)"
    yield f"INSERT INTO items VALUES ({number() + 1000}, '{word() * 5}', 1)"
    yield f"INSERT INTO items VALUES ({number() + 1000}, '{word()}', {number() + 1000000})"
    yield f"INSERT INTO orders VALUES ({number()}, {number() + 300})"
    yield f"INSERT INTO items (id, {word()}) VALUES (1, 2)"
    yield f"DROP TABLE {word()}"
    yield f"DROP TABLE IF EXISTS {word()}"
    yield f"DROP INDEX {word()}"
    yield f"DROP SCHEMA {word()}"
    yield f"DROP ROLE {word()}"
    yield f"DROP EXTENSION {word()}"
    yield "DROP TABLE items"
    yield "CREATE TABLE items (id int)"
    yield "CREATE TABLE IF NOT EXISTS items (id int)"
    yield f"CREATE TABLE {word()} (id int PRIMARY KEY, {word()} text UNIQUE)"
    yield f"CREATE TABLE {word()} (id {word()})"
    yield f"CREATE INDEX {word()} ON items ({word()})"
    yield f"CREATE INDEX i{word()} ON items (name)"
    yield f"CREATE EXTENSION {word()}"
    yield f"ALTER TABLE items DROP COLUMN {word()}"
    yield "ALTER TABLE items ADD COLUMN name text"
    yield f"ALTER TABLE {word()} ADD COLUMN x int"
    yield f"SET {word()} = 3"
    yield f"SET work_mem = '{word()}'"
    yield f"SET work_mem = '{number()}TB'"
    yield f"SET TIME ZONE '{word()}'"
    yield "SET ROLE guest; SELECT * FROM items"
    yield "SET ROLE guest; CREATE SCHEMA mine"
    yield "COMMIT"
    yield "ROLLBACK"
    yield f"BEGIN; BEGIN; SAVEPOINT {word()}; ROLLBACK TO {word()}"
    yield "BEGIN; SELECT 1/0"
    yield f"SET statement_timeout = '5ms'; SELECT pg_sleep({number()})"
    yield f"SELECT shout('{word()}')"
    yield f"DO $$ BEGIN RAISE EXCEPTION 'no order {number()} of {word()}'; END $$"
    yield f"DO $$ BEGIN {word()} := 1; END $$"
    yield f"SELECT a.g FROM generate_series(1, {20000 + number()}) a(g) ORDER BY a.g::text"
    yield f"EXECUTE {word()}({number()})"
    yield f"DEALLOCATE {word()}"
    yield f"FETCH NEXT FROM {word()}"
    yield f"LISTEN {word()}; NOTIFY {word()}; UNLISTEN *"
    yield f"COPY items TO '/{word()}/{word()}.csv'"
    yield f"COPY no_{word()} FROM STDIN"
    yield f"SELECT pg_terminate_backend({number() + 9000000})"
    yield f"SELECT pg_cancel_backend({number() + 9000000})"
    yield f"SELECT '{word()}' ~ '[{word()}'"
    yield f"SELECT substring('abc', 1, -{number()})"
    yield f"SELECT sqrt(-{number()})"
    yield "SELECT ln(0)"
    yield f"SELECT to_date('{word()}', 'YYYY')"
    yield f"SELECT nextval('{word()}')"
    yield f"SELECT currval(pg_get_serial_sequence('items', '{word()}'))"
    yield "SELECT count(*), name FROM items"
    yield f"SELECT id FROM items WHERE count(*) > {number()}"
    yield f"SELECT (SELECT id FROM items WHERE id < {number() + 10})"
    yield f"SELECT 1 UNION SELECT '{word()}'"
    yield f"SELECT 1, 2 UNION SELECT {number()}"
    yield f"SELECT * FROM items a, items a WHERE a.id = {number()}"
    yield f"SELECT id FROM items i, orders o WHERE n = {number()}"
    yield f"GRANT SELECT ON {word()} TO guest"
    yield f"GRANT guest TO {word()}"
    yield "TRUNCATE items"
    yield f"CREATE VIEW v AS SELECT {word()}"
    yield "CREATE DATABASE sensus"
    yield f"VACUUM {word()}"
    yield f"ANALYZE {word()}"
    yield f"CALL {word()}()"
    yield f"LOCK TABLE {word()}"
    yield f"SELECT lo_open({number()}, 0)"
    yield f"SELECT pg_read_file('{word()}/{word()}')"
    yield f"SELECT ARRAY[1,2] || '{word()}'::int[]"
    yield f"SELECT repeat('x', {number()}00000000)"
    yield f"SELECT chr({number() + 2000000})"
    yield f"SELECT convert_from('\\xff'::bytea, '{word()}')"
    yield f"SELECT convert_from('\\xff{number() % 100:02}'::bytea, 'UTF8')"


def _word(chance: random.Random) -> str:
    return chance.choice(_WORDS)
