"""kill -9 of a real detector process at any moment: the same anomalies, each once."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sensus.ingest.v1.ingest_service_pb2 import SampleDelivery
from services.detector.store import AnomalyStore, StatusStore
from tests.detector.scripted_ingest import ScriptedIngest
from tests.detector.signals import deliveries, samples
from tests.detector.undisturbed import expected

if TYPE_CHECKING:
    from mesh.postgres import Pool

ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def child(
    dsn: str, ingest: ScriptedIngest, keys: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m services.detector`, killed at the end."""
    settings = {
        "SENSUS_POSTGRES_DSN": dsn,
        "SENSUS_REDIS_URL": "redis://unused",
        "SENSUS_DETECTOR_GRPC_PORT": "0",
        "SENSUS_GATEWAY_TARGET": "off",
        "SENSUS_DETECTOR_METRICS_PORT": "0",
        "SENSUS_DETECTOR_CONSUMER_ID": "detector-1",
        "SENSUS_INGEST_TARGET": ingest.target,
        "SENSUS_AUTH_JWKS_FILE": str(keys / "jwks.json"),
        "SENSUS_AUTH_KEY_FILE": str(keys / "detector.pem"),
        "SENSUS_DETECTOR_CHECKPOINT_INTERVAL_S": "0.05",
        "SENSUS_DETECTOR_BATCH_SAMPLES": "50",
        "SENSUS_DETECTOR_SERIES_WARMUP_SAMPLES": "20",
        "SENSUS_DETECTOR_WARNINGS_PER_WEEK": "0",
        "SENSUS_DETECTOR_ALERTS_PER_WEEK": "0",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.detector", cwd=ROOT, env=os.environ | settings
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.usefixtures("active_model")
@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.long)])
async def test_killed_detectors_leave_the_anomalies_of_an_undisturbed_run(
    ingest: ScriptedIngest, migrated_dsn: str, keys: Path, pool: "Pool", kills: int
) -> None:
    whole, chance = samples(ticks=150 * (kills + 1)), random.Random(11)
    log = deliveries(0, whole, 30)
    ingest.log_by_shard[0] = []
    for number in range(kills):
        before = len(ingest.streams)
        async with child(migrated_dsn, ingest, keys):
            await ingest.until(lambda n=before: len(ingest.streams) > n)
            writing = asyncio.create_task(_write(ingest, log[15 * number : 15 * number + 15]))
            await asyncio.sleep(chance.uniform(0.2, 1.0))
        await writing
    await _write(ingest, log[15 * kills :])
    before = len(ingest.streams)
    async with child(migrated_dsn, ingest, keys) as process:
        await ingest.until(lambda: len(ingest.streams) > before)
        await ingest.until_acked()
        process.terminate()
        assert await process.wait() == 0
    found = [
        each.anomaly.finding.anomaly_id
        for each in await AnomalyStore(pool).after(0, 1000)
        if not each.is_end
    ]
    assert sorted(found) == expected(whole)
    assert len(found) == len(set(found)) > 0
    assert (await StatusStore(pool).status()).processed_samples == len(whole)


async def _write(ingest: ScriptedIngest, log: Sequence[SampleDelivery]) -> None:
    for frame in log:
        await ingest.write(frame)
        await asyncio.sleep(0.05)
