"""Topology beside a real ingest, on real stores."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh.auth import generate_key_files
from tests.ingest.harness import Running as Ingest
from tests.ingest.harness import config as ingest_config
from tests.ingest.harness import running as ingest_running
from tests.topology.running import Running, running


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the keys of the services."""
    directory = tmp_path_factory.mktemp("keys")
    generate_key_files(directory, ["ingest", "topology", "gateway"])
    return directory


@pytest.fixture
async def ingest(migrated_dsn: str, redis_url: str, keys: Path) -> AsyncIterator[Ingest]:
    """An ingest with all of its workers."""
    async with ingest_running(ingest_config(migrated_dsn, redis_url, keys), keys) as started:
        yield started


@pytest.fixture
async def idle(ingest: Ingest, keys: Path) -> AsyncIterator[Running]:
    """A topology that is not started yet."""
    async with running(ingest, keys) as made:
        yield made


@pytest.fixture
async def topology(idle: Running) -> Running:
    """A topology that counts."""
    await idle.start()
    return idle
