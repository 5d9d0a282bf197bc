"""One ingest service per test, on real stores."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh.auth import generate_key_files
from tests.ingest.harness import Running, config, running


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the keys of all services."""
    directory = tmp_path_factory.mktemp("keys")
    generate_key_files(directory, ["ingest", "detector", "explainer", "gateway"])
    return directory


@pytest.fixture
async def service(migrated_dsn: str, redis_url: str, keys: Path) -> AsyncIterator[Running]:
    """A service with all of its workers."""
    async with running(config(migrated_dsn, redis_url, keys), keys) as started:
        yield started
