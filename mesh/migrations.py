"""Forward-only SQL migrations: `migrations/<service>/NNNN_name.sql`, each in one transaction.

Applied files are recorded with their hash in `sensus_meta.migrations`. Any number of processes may
migrate at once: an advisory lock lets one do it and the others find it done.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from mesh.postgres import Connection, Pool

DIRECTORY: Final = Path(__file__).resolve().parent.parent / "migrations"

_LOCK_KEY: Final = 0x53454E53
_FILE_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_META: Final = """
CREATE SCHEMA IF NOT EXISTS sensus_meta;
CREATE TABLE IF NOT EXISTS sensus_meta.migrations (
    service    text        NOT NULL,
    number     int         NOT NULL,
    name       text        NOT NULL,
    sha256     text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, number)
);
"""
PLAN: Final = "SET LOCAL enable_nestloop = off"
"""Before each file: its plan must not hang on statistics from when a table was empty.

A nested loop would run a subquery again for each row, and draw `nextval` anew each time.
"""
_APPLIED: Final = "SELECT number, sha256 FROM sensus_meta.migrations WHERE service = $1"
_RECORD: Final = "INSERT INTO sensus_meta.migrations VALUES ($1, $2, $3, $4)"
_SEEN_BY: Final = """
GRANT USAGE ON SCHEMA sensus_meta TO {role};
GRANT SELECT ON sensus_meta.migrations TO {role};
"""
_BECOME: Final = """
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {role}', current_database()); END $$;
SET LOCAL ROLE {role};
"""
_RETURN: Final = """
SET LOCAL ROLE NONE;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM {role}', current_database()); END $$;
"""

logger = logging.getLogger(__name__)


class MigrationError(Exception):
    """The files and the database do not fit together; nothing of the file was applied."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. Its number is its place; its text never changes once applied."""

    service: str
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Hash of the text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(service: str, directory: Path = DIRECTORY) -> list[Migration]:
    """The files of a service in order.

    Raises:
        MigrationError: A file has another form of name, or a number is missing or there twice.
    """
    files = sorted((directory / service).glob("*.sql"))
    found = [_read(service, path) for path in files]
    for expected, migration in enumerate(found, start=1):
        if migration.number != expected:
            raise MigrationError(f"{service}/{migration.name}: expected number {expected:04d}")
    return found


async def migrate(
    dsn: str,
    services: Sequence[str],
    directory: Path = DIRECTORY,
    *,
    role_of: Callable[[str], str] | None = None,
) -> list[str]:
    """Brings the schemas of `services` up to date and names the files it applied.

    With `role_of` each file is applied as the role of its service, which then owns what it makes.
    The role may create a schema only while a file of its own is applied.

    Raises:
        MigrationError: An applied file was edited or is missing, or its SQL fails.
    """
    files = {service: read_migrations(service, directory) for service in services}
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK_KEY)
        await connection.execute(_META)
        applied = []
        for service in services:
            role = role_of(service) if role_of else ""
            applied += await _bring_up(connection, service, files[service], role)
        return applied
    finally:
        await connection.close()


async def check(pool: Pool, service: str, directory: Path = DIRECTORY) -> None:
    """Refuses to start on a schema that is behind. One that is ahead is fine: an update is on.

    Raises:
        MigrationError: Migrations are missing, or an applied file was edited.
    """
    is_recorded = await pool.fetchval("SELECT to_regclass('sensus_meta.migrations')")
    rows = await pool.fetch(_APPLIED, service) if is_recorded else []
    missing = _pending(read_migrations(service, directory), _by_number(rows))
    if missing:
        raise MigrationError(f"{service}: run the migrations first, {missing[0].name} is missing")


async def _bring_up(
    connection: Connection, service: str, files: list[Migration], role: str
) -> list[str]:
    applied = _by_number(await connection.fetch(_APPLIED, service))
    if len(applied) > len(files):
        raise MigrationError(f"{service}: the database is newer than this build")
    if role:
        await connection.execute(_SEEN_BY.format(role=role))
    pending = _pending(files, applied)
    for migration in pending:
        await _apply(connection, migration, role)
    return [f"{service}/{migration.name}" for migration in pending]


def _pending(files: list[Migration], applied: dict[int, str]) -> list[Migration]:
    for migration in files:
        if applied.get(migration.number, migration.sha256) != migration.sha256:
            problem = "was edited after it was applied: restore it and add a new file"
            raise MigrationError(f"{migration.service}/{migration.name} {problem}")
    return [migration for migration in files if migration.number not in applied]


async def _apply(connection: Connection, migration: Migration, role: str) -> None:
    named = f"{migration.service}/{migration.name}"
    record = (migration.service, migration.number, migration.name, migration.sha256)
    try:
        async with connection.transaction():
            if role:
                await connection.execute(_BECOME.format(role=role))
            await connection.execute(PLAN)
            await connection.execute(migration.sql)
            if role:
                await connection.execute(_RETURN.format(role=role))
            await connection.execute(_RECORD, *record)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{named} fails: {error}") from error
    logger.info("migrated", extra={"migration": named})


def _by_number(rows: Sequence[asyncpg.Record]) -> dict[int, str]:
    return {row["number"]: row["sha256"] for row in rows}


def _read(service: str, path: Path) -> Migration:
    named = _FILE_NAME.fullmatch(path.name)
    if named is None:
        raise MigrationError(f"{service}/{path.name}: name it NNNN_what_it_does.sql")
    return Migration(service, int(named[1]), path.name, path.read_text())
