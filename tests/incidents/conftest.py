"""Incidents on real stores, behind a real ingest: one pair per module, cleared for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from mesh.auth import generate_key_files
from tests.databases import database
from tests.incidents.harness import Running, running


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the keys of all services."""
    directory = tmp_path_factory.mktemp("keys")
    generate_key_files(directory, ["ingest", "detector", "explainer", "incidents", "gateway"])
    return directory


@pytest.fixture(scope="module")
async def shared(
    postgres: EmbeddedPostgres, migrated_template: str, redis_server: EmbeddedRedis, keys: Path
) -> AsyncIterator[Running]:
    """A service for all tests of a file; each uses labels of its own."""
    redis_url = redis_server.url.replace("db=0", "db=2")
    async with (
        database(postgres.dsn, template=migrated_template) as dsn,
        running(dsn, redis_url, keys) as started,
    ):
        yield started


@pytest.fixture
async def service(
    request: pytest.FixtureRequest,
    postgres: EmbeddedPostgres,
    migrated_template: str,
    redis_server: EmbeddedRedis,
    keys: Path,
) -> AsyncIterator[Running]:
    """A service alone on an empty installation, whose clock a test may set.

    Its parameter, if there is one, holds settings.
    """
    redis_url = redis_server.url.replace("db=0", "db=3")
    changes = getattr(request, "param", {})
    async with (
        database(postgres.dsn, template=migrated_template) as dsn,
        running(dsn, redis_url, keys, **changes) as started,
    ):
        yield started
