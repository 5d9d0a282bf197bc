"""A backup restores every row into an empty database, and into no other without being forced."""

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import pytest

from cli.embedded.postgres import EmbeddedPostgres
from cli.product.directory import DataDirectory
from cli.product.product import embedded_postgres
from mesh.migrations import migrate
from observability.services import REPOSITORY
from tests.databases import database, execute
from tests.product import UNLIMITED, started, webhook

SCRIPTS = REPOSITORY / "scripts"
ROWS = """
INSERT INTO ingest.series (labels_hash, shard, labels)
SELECT decode(md5(n::text), 'hex'), n % 16, jsonb_build_object('__name__', 'it', 'n', n::text)
FROM generate_series(1, 500) AS n;
INSERT INTO ingest.head (shard_count, shard_offsets, shard_totals)
VALUES (2, ARRAY[7, 9], ARRAY[70, 90]);
"""
TABLES = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""


async def run(script: str, *arguments: str, dsn: str) -> tuple[int, str]:
    """Exit status, and all that the script says."""
    process = await asyncio.create_subprocess_exec(
        SCRIPTS / script,
        *arguments,
        env=os.environ | {"SENSUS_POSTGRES_DSN": dsn},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def contents(dsn: str) -> Mapping[str, tuple[int, str]]:
    """Rows and checksum by table."""
    connection = await asyncpg.connect(dsn)
    try:
        found = {}
        for (table,) in await connection.fetch(TABLES):
            count, checksum = await connection.fetchrow(
                f"SELECT count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') "
                f"FROM {table} AS t"
            )
            found[table] = (count, checksum)
        return found
    finally:
        await connection.close()


def damage(path: Path) -> None:
    """Cuts off its end."""
    path.write_bytes(path.read_bytes()[:-1000])


def aged(path: Path) -> Path:
    """Makes a file of 1970."""
    path.write_bytes(b"old")
    os.utime(path, (0, 0))
    return path


@pytest.fixture
async def filled_dsn(migrated_dsn: str) -> str:
    """A database with rows of ours."""
    await execute(migrated_dsn, ROWS)
    return migrated_dsn


@pytest.fixture
async def backup(filled_dsn: str, tmp_path: Path) -> Path:
    """A backup of it."""
    status, said = await run("backup.sh", str(tmp_path / "backups"), dsn=filled_dsn)
    assert status == 0, said
    (file,) = (tmp_path / "backups").glob("*.dump")
    return file


async def test_backup_restores_every_row_into_an_empty_database(
    filled_dsn: str, backup: Path, postgres: EmbeddedPostgres
) -> None:
    async with database(postgres.dsn, template="template0") as empty_dsn:
        status, said = await run("restore.sh", str(backup), dsn=empty_dsn)
        assert status == 0, said
        before, after = await contents(filled_dsn), await contents(empty_dsn)
        assert before["ingest.series"][0] == 500
        # its streams in Redis begin anew: those of before may know positions that are to come
        assert after.pop("ingest.head") != before.pop("ingest.head")
        assert after == before
        services = sorted(path.name for path in (REPOSITORY / "migrations").iterdir())
        assert await migrate(empty_dsn, services) == []


@pytest.mark.long
async def test_product_starts_on_what_was_restored(tmp_path: Path) -> None:
    """Another installation, with keys and streams of its own, has the samples and the alert."""
    old, new = DataDirectory(tmp_path / "old"), DataDirectory(tmp_path / "new")
    now_ms = int(time.time() * 1000)
    async with started(old.path, settings=UNLIMITED) as door:
        assert (await door.write("before", {"kept": [(now_ms, 42.0)]})).accepted == 1
        answer = await door.http.post(
            "/api/v1/alerts", json=webhook("Kept", starts_at="2026-01-01T00:00:00Z")
        )
        (alert_id,) = answer.json()["alertIds"]
    async with embedded_postgres(old) as postgres:
        status, said = await run("backup.sh", str(tmp_path / "backups"), dsn=postgres.dsn)
        assert status == 0, said
    (file,) = (tmp_path / "backups").glob("*.dump")
    async with embedded_postgres(new) as postgres:
        status, said = await run("restore.sh", str(file), dsn=postgres.dsn)
        assert status == 0, said
    async with started(new.path, settings=UNLIMITED) as door:
        listed = await door.http.get("/api/v1/series", params={"selector": "kept"})
        assert len(listed.json()["series"]) == 1
        assert (await door.http.get(f"/api/v1/alerts/{alert_id}")).status_code == 200
        assert (await door.write("after", {"kept": [(now_ms + 1000, 43.0)]})).accepted == 1


async def test_database_that_is_not_empty_is_replaced_only_by_force(
    filled_dsn: str, backup: Path
) -> None:
    await execute(filled_dsn, "DELETE FROM ingest.series WHERE series_id > 10")
    status, said = await run("restore.sh", str(backup), dsn=filled_dsn)
    assert status == 1
    assert "--force" in said
    assert (await contents(filled_dsn))["ingest.series"][0] == 10
    status, said = await run("restore.sh", "--force", str(backup), dsn=filled_dsn)
    assert status == 0, said
    assert (await contents(filled_dsn))["ingest.series"][0] == 500


async def test_damaged_backup_is_refused(backup: Path, filled_dsn: str) -> None:
    damage(backup)
    status, said = await run("restore.sh", "--force", str(backup), dsn=filled_dsn)
    assert status == 1
    assert "damaged" in said
    assert (await contents(filled_dsn))["ingest.series"][0] == 500


async def test_backups_of_more_than_a_week_ago_go(backup: Path, filled_dsn: str) -> None:
    old = aged(backup.with_name("sensus-20200101T000000Z.dump"))
    status, said = await run("backup.sh", str(backup.parent), dsn=filled_dsn)
    assert status == 0, said
    assert {path.name for path in backup.parent.glob("*.dump")} >= {backup.name}
    assert old not in set(backup.parent.glob("*.dump"))
    assert "kept for 7 days" in said


async def test_missing_address_is_named() -> None:
    status, said = await run("backup.sh", dsn="")
    assert status == 1
    assert "SENSUS_POSTGRES_DSN" in said
