"""The detector on a real PostgreSQL, behind a real server, fed by a scripted ingest."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mesh.auth import generate_key_files
from mesh.clock import SystemClock
from mesh.postgres import open_pool
from services.detector.model.model_life import Evaluation
from services.detector.model.models import TrainedModel
from services.detector.store import ModelStore, VersionStore
from services.detector.training.evaluate import INJECTED
from tests.detector.anomaly_log import Log
from tests.detector.running import RunningDetector
from tests.detector.scripted_ingest import ScriptedIngest, serving
from tests.detector.signals import forest

if TYPE_CHECKING:
    from mesh.postgres import Pool


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the keys of all services."""
    directory = tmp_path_factory.mktemp("keys")
    generate_key_files(directory, ["ingest", "detector", "explainer", "gateway"])
    return directory


@pytest.fixture
async def pool(migrated_dsn: str) -> AsyncIterator["Pool"]:
    """A pool on the test's own database."""
    async with open_pool(migrated_dsn, application_name="test") as pool:
        yield pool


@pytest.fixture
async def active_model(pool: "Pool") -> int:
    """A trained model that is active from the start; its version.

    It has been measured, or a detector with all its workers would do that first, in each test.
    """
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    model = TrainedModel(
        artifact=forest().to_bytes(),
        training_samples=600,
        training_start=moment,
        training_end=moment,
        parameters={"trees": 25},
    )
    await ModelStore(pool).add_and_activate(model, 1)
    measured = Evaluation(
        evaluated_ms=SystemClock().now_ms(),
        injected_precision=0.5,
        injected_anomalies=INJECTED,
        feedback_separation=None,
        true_alarms=0,
        false_alarms=0,
    )
    await VersionStore(pool).put_evaluation(1, measured)
    return 1


@pytest.fixture
async def ingest() -> AsyncIterator[ScriptedIngest]:
    """A real gRPC server that plays ingest by a script."""
    async with serving(ScriptedIngest()) as scripted:  # type: ignore[abstract]
        yield scripted


@pytest.fixture
async def detector(
    ingest: ScriptedIngest, migrated_dsn: str, keys: Path
) -> AsyncIterator[RunningDetector]:
    """A detector that is not started yet; stopped at the end."""
    async with AsyncExitStack() as stack:
        running = RunningDetector(migrated_dsn, ingest.target, keys)
        stack.push_async_callback(running.stop)
        yield running


@pytest.fixture
def log(pool: "Pool") -> Log:
    """Where anomalies come from."""
    return Log(pool)


@pytest.fixture
async def started(detector: RunningDetector) -> RunningDetector:
    """A detector that answers and consumes nothing."""
    await detector.start(workers=["publisher"])
    return detector


@pytest.fixture
async def stub(started: RunningDetector) -> AsyncIterator[Any]:
    """A client that may read."""
    async with started.client() as stub:
        yield stub
