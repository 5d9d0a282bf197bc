"""The ingest service on real stores: one per test, or one that refusing tests of a file share."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from mesh.auth import generate_key_files
from tests.databases import database, execute
from tests.ingest.cuttable import Cuttable
from tests.ingest.harness import Running, config, running
from tests.ingest.valve import database_valve, valve

HASTY_TTL_S = 3.0
"""Leases are renewed five times in it: a busy machine may be late by two seconds."""

_CLEAR = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid();
DELETE FROM ingest.subscription;
DELETE FROM ingest.alert;
DELETE FROM ingest.batch;
DELETE FROM ingest.chunk;
DELETE FROM ingest.caller;
DELETE FROM ingest.metric;
DELETE FROM ingest.exemplar;
DELETE FROM ingest.running_total;
DELETE FROM ingest.series;
DELETE FROM ingest.head;
DELETE FROM ingest.event_batch;
DELETE FROM ingest.event_head;
UPDATE ingest.alert_head SET last_change = 0;
UPDATE ingest.compaction SET compacted_offset = 0;
"""


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the keys of all services."""
    directory = tmp_path_factory.mktemp("keys")
    generate_key_files(directory, ["ingest", "detector", "explainer", "gateway"])
    return directory


@pytest.fixture
async def service(cleared_dsn: str, redis_url: str, keys: Path) -> AsyncIterator[Running]:
    """A service with all of its workers, alone on an empty installation."""
    async with running(config(cleared_dsn, redis_url, keys), keys) as started:
        yield started


@pytest.fixture
async def hasty(cleared_dsn: str, redis_url: str, keys: Path) -> AsyncIterator[Running]:
    """A service whose leases run out after seconds."""
    settings = config(cleared_dsn, redis_url, keys, lease_ttl_s=HASTY_TTL_S)
    async with running(settings, keys) as started:
        yield started


@pytest.fixture(scope="module")
async def shared(
    postgres: EmbeddedPostgres, migrated_template: str, redis_server: EmbeddedRedis, keys: Path
) -> AsyncIterator[Running]:
    """A service for tests that do not mind what others of their file have stored."""
    redis_url = redis_server.url.replace("db=0", "db=1")
    assert redis_url != redis_server.url
    async with database(postgres.dsn, template=migrated_template) as dsn:
        only = ("committer", "publisher", "alert_publisher", "event_committer", "event_publisher")
        async with running(config(dsn, redis_url, keys), keys, only=only) as started:
            yield started


@pytest.fixture
async def cleared_dsn(reused_dsn: str) -> str:
    """URL of an installation as it is after the migrations, but for its empty partitions."""
    await execute(reused_dsn, _CLEAR)
    return reused_dsn


@pytest.fixture(scope="session")
async def reused_dsn(postgres: EmbeddedPostgres, migrated_template: str) -> AsyncIterator[str]:
    """URL of the database that `cleared_dsn` clears: much faster than one database per test."""
    async with database(postgres.dsn, template=migrated_template) as dsn:
        yield dsn


@pytest.fixture
async def cuttable(
    cleared_dsn: str, redis_url: str, keys: Path, tmp_path: Path
) -> AsyncIterator[Cuttable]:
    """A service behind valves; commits give up after three seconds."""
    redis_upstream = Path(unquote(urlsplit(redis_url).path))
    async with (
        database_valve(cleared_dsn, tmp_path) as (database, dsn),
        valve(tmp_path / "redis.sock", redis_upstream) as redis_valve,
    ):
        settings = config(dsn, f"unix://{tmp_path}/redis.sock?db=0", keys, commit_timeout_s=3.0)
        async with running(settings, keys) as service:
            service.dsn = cleared_dsn
            yield Cuttable(
                service=service, database=database, redis=redis_valve, redis_url=redis_url
            )
