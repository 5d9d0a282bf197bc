"""Each service has a role of its own, which owns its schema and reads no other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from cli.embedded.postgres import EmbeddedPostgres
from cli.problem import Problem
from cli.product.database import READER, bring_up_schemas, new_dsns, role_of, schemas
from mesh.migrations import migrate
from mesh.postgres import Connection

READ_SCHEMAS = """
SELECT table_schema FROM information_schema.tables
WHERE table_schema = ANY($1) AND has_table_privilege(
    format('%I.%I', table_schema, table_name), 'SELECT, INSERT, UPDATE, DELETE')
GROUP BY table_schema
"""


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def owners(dsn: str) -> set[tuple[str, str]]:
    """Schema and owner of everything that the services have made."""
    async with connected(dsn) as connection:
        rows = await connection.fetch(
            "SELECT nspname, nspowner::regrole::text FROM pg_namespace WHERE nspname = ANY($1) "
            "UNION SELECT relnamespace::regnamespace::text, relowner::regrole::text FROM pg_class "
            "WHERE relnamespace::regnamespace::text = ANY($1) "
            "UNION SELECT pronamespace::regnamespace::text, proowner::regrole::text FROM pg_proc "
            "WHERE pronamespace::regnamespace::text = ANY($1)",
            schemas(),
        )
    return {(schema, owner) for schema, owner in rows}


OWN = {(service, role_of(service)) for service in schemas()}


async def test_a_service_reads_its_own_schema_and_no_other(postgres_dsn: str) -> None:
    assert "ingest/0001_series.sql" in await bring_up_schemas(postgres_dsn, roles=True)
    assert await owners(postgres_dsn) == OWN
    for service, dsn in (await new_dsns(postgres_dsn)).items():
        async with connected(dsn) as connection:
            readable = await connection.fetch(READ_SCHEMAS, schemas())
            assert [schema for (schema,) in readable] == [service]
            other = "gateway.account" if service != "gateway" else "ingest.series"
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT * FROM {other}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("CREATE SCHEMA elsewhere")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("SET ROLE sensus")
            assert await connection.fetchval("SHOW is_superuser") == "off"


async def test_an_installation_without_roles_is_handed_over(postgres_dsn: str) -> None:
    await migrate(postgres_dsn, schemas())
    async with connected(postgres_dsn) as connection:
        await connection.execute("SELECT ingest.make_batch_partition('2026-11-29')")
    assert await bring_up_schemas(postgres_dsn, roles=True) == []
    assert await owners(postgres_dsn) == OWN
    async with connected((await new_dsns(postgres_dsn))["ingest"]) as connection:
        await connection.execute("SELECT ingest.make_batch_partition('2026-11-30')")
        await connection.execute("ALTER TABLE ingest.batch ADD COLUMN later int")


async def test_roles_stay_without_being_asked_for_again(postgres_dsn: str) -> None:
    """A later `sensus migrate` without --roles must not make tables that no service can read."""
    await bring_up_schemas(postgres_dsn, roles=True)
    async with connected(postgres_dsn) as connection:
        await connection.execute("DROP SCHEMA gateway CASCADE")
        await connection.execute("DELETE FROM sensus_meta.migrations WHERE service = 'gateway'")
    assert "gateway/0001_identity.sql" in await bring_up_schemas(postgres_dsn, roles=False)
    assert await owners(postgres_dsn) == OWN


async def test_the_reader_sees_samples_and_nothing_else(postgres_dsn: str) -> None:
    await bring_up_schemas(postgres_dsn, roles=True)
    async with connected(postgres_dsn) as connection:
        await connection.execute(f"SET ROLE {READER}")
        assert await connection.fetch("SELECT * FROM ingest.metrics") == []
        hour = "SELECT * FROM ingest.samples(now() - interval '1 hour', now())"
        assert await connection.fetch(hour) == []
        for table in ("ingest.alert", "gateway.account", "explainer.explanation"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT * FROM {table}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM ingest.batch")


async def test_passwords_of_an_earlier_run_are_void(postgres_dsn: str) -> None:
    await bring_up_schemas(postgres_dsn, roles=True)
    earlier, now = await new_dsns(postgres_dsn), await new_dsns(postgres_dsn)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(earlier["ingest"])
    async with connected(now["ingest"]) as connection:
        assert await connection.fetchval("SELECT current_user") == "sensus_ingest"


async def test_an_owner_that_is_no_superuser_can_make_roles(tmp_path: Path) -> None:
    """As on a managed PostgreSQL: it owns the database and may create roles."""
    async with EmbeddedPostgres(tmp_path, settings={"fsync": "off"}) as postgres:
        async with connected(postgres.dsn) as connection:
            await connection.execute("CREATE EXTENSION vector")
            await connection.execute("CREATE ROLE boss LOGIN CREATEROLE PASSWORD 'boss'")
            await connection.execute("ALTER DATABASE sensus OWNER TO boss")
        boss = postgres.dsn.replace("sensus@", "boss:boss@")
        await migrate(boss, schemas())
        assert await bring_up_schemas(boss, roles=True) == []
        assert await owners(postgres.dsn) == OWN


async def test_a_server_that_refuses_is_a_problem(postgres_dsn: str) -> None:
    wrong = postgres_dsn.replace("sensus@", "nobody:wrong@")
    with pytest.raises(Problem, match="cannot be used: password authentication failed"):
        await bring_up_schemas(wrong, roles=True)
