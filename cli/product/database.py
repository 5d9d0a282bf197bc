"""The database of the product: a role and a schema for each service, and what is in them.

A service's role owns its schema, is no superuser and cannot read another's. `sensus_reader` reads
samples, for Grafana and for people; it is given to log-in roles (`GRANT sensus_reader TO grafana`).
"""

import secrets
from collections.abc import Sequence
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from cli.problem import Problem
from mesh.migrations import DIRECTORY, MigrationError, migrate
from mesh.postgres import Connection

READER = "sensus_reader"

_READABLE = ("metrics", "series", "batch", "chunk", "compaction")
"""The view of samples and the tables that its functions read."""

_HAS_VECTOR = "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"
_OWNED = "SELECT count(*) FROM pg_namespace WHERE nspname = $1 AND nspowner = to_regrole($2)"
_GIVE_AWAY = """
DO $do$
DECLARE item record;
BEGIN
    EXECUTE format('GRANT CREATE ON DATABASE %I TO {role}', current_database());
    ALTER SCHEMA {schema} OWNER TO {role};
    FOR item IN
        SELECT format('ALTER %s %s OWNER TO {role}', kind, name) AS command FROM (
            SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END,
                   oid::regclass::text, relowner
            FROM pg_class
            WHERE relnamespace = '{schema}'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')
              AND NOT EXISTS (SELECT FROM pg_depend  -- a sequence of a column follows its table
                              WHERE objid = pg_class.oid AND classid = 'pg_class'::regclass
                                AND relkind = 'S' AND deptype IN ('a', 'i'))
            UNION ALL
            SELECT 'ROUTINE', oid::regprocedure::text, proowner
            FROM pg_proc WHERE pronamespace = '{schema}'::regnamespace
        ) AS found (kind, name, owner)
        WHERE owner <> '{role}'::regrole
    LOOP
        EXECUTE item.command;
    END LOOP;
    EXECUTE format('REVOKE CREATE ON DATABASE %I FROM {role}', current_database());
END
$do$
"""


def role_of(service: str) -> str:
    """The role that owns the schema of a service."""
    return f"sensus_{service}"


def schemas() -> list[str]:
    """The services that have a schema, which is named like them."""
    return sorted(path.name for path in DIRECTORY.iterdir() if path.is_dir())


async def bring_up_schemas(dsn: str, *, roles: bool) -> list[str]:
    """Applies the migrations of all services; with `roles` each as the role of its service.

    An installation that was made without roles is handed over to them; one that has them keeps
    them without being told.

    Raises:
        Problem: The server, or a file, refuses.
    """
    services = schemas()
    try:
        if not (roles or await _has_roles(dsn)):
            return await migrate(dsn, services)
        await _make_roles(dsn, services)
        applied = await migrate(dsn, services, role_of=role_of)
        await _let_read(dsn)
        return applied
    except MigrationError as error:
        raise Problem(f"migrations: {error}") from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Problem(f"PostgreSQL at SENSUS_POSTGRES_DSN cannot be used: {error}") from None


async def new_dsns(dsn: str) -> dict[str, str]:
    """URL by service, each with a fresh password of its role; those of an earlier run are void."""
    connection = await asyncpg.connect(dsn)
    try:
        return {service: await _new_dsn(connection, dsn, service) for service in schemas()}
    finally:
        await connection.close()


async def _new_dsn(connection: Connection, dsn: str, service: str) -> str:
    role, password = role_of(service), secrets.token_urlsafe(24)
    await connection.execute(f"ALTER ROLE {role} PASSWORD '{password}'")
    parts = urlsplit(dsn)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password)}@{place}"))


async def _has_roles(dsn: str) -> bool:
    connection = await asyncpg.connect(dsn)
    try:
        return bool(await connection.fetchval(_OWNED, "ingest", role_of("ingest")))
    finally:
        await connection.close()


async def _make_roles(dsn: str, services: Sequence[str]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('sensus.roles'))")
            await _make_role(connection, READER, "NOLOGIN")
            for service in services:
                await _make_role(connection, role_of(service), "LOGIN")
                await _own_schema(connection, service)
        await _make_vector(connection)
    finally:
        await connection.close()


async def _make_role(connection: Connection, role: str, login: str) -> None:
    if not await connection.fetchval("SELECT to_regrole($1)", role):
        await connection.execute(f"CREATE ROLE {role} {login} NOSUPERUSER NOCREATEDB NOCREATEROLE")
    if not await connection.fetchval("SELECT pg_has_role($1, 'SET')", role):
        await connection.execute(f"GRANT {role} TO CURRENT_USER")


async def _own_schema(connection: Connection, schema: str) -> None:
    """The schema itself is made by its first migration; one that is there changes its owner."""
    role = role_of(schema)
    if await connection.fetchval("SELECT to_regnamespace($1)", schema):
        await connection.execute(_GIVE_AWAY.format(role=role, schema=schema))


async def _make_vector(connection: Connection) -> None:
    """Pgvector is made here, where the server has it: a service's role may not."""
    if await connection.fetchval(
        "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"
    ):
        await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")


async def _let_read(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        tables = ", ".join(f"ingest.{name}" for name in _READABLE)
        await connection.execute(f"GRANT USAGE ON SCHEMA ingest TO {READER}")
        await connection.execute(f"GRANT SELECT ON {tables} TO {READER}")
    finally:
        await connection.close()
