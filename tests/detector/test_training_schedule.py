"""When a training is due, asked for, and done: by one, and once."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import grpc
import pytest

from mesh.clock import SystemClock
from mesh.errors import from_rpc_error
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.detectors.evaluation import BINS
from services.detector.model.model_life import Live, Stage
from services.detector.store import ModelStore, TrainingStore, VersionStore
from services.detector.store.trainings import WAITING_MAX
from services.detector.training.schedule import DRIFT, Schedule
from tests.detector.models import SetClock, a_model, collect, keeper_of
from tests.detector.running import ADMIN, RunningDetector

if TYPE_CHECKING:
    from mesh.postgres import Pool


@pytest.mark.parametrize(
    ("now", "expected"),
    [((2026, 11, 20, 2, 0), (2026, 11, 20, 2, 0)), ((2026, 11, 20, 1, 59), (2026, 11, 19, 2, 0))],
)
def test_daily_training_is_due_at_its_time(now: tuple[int, ...], expected: tuple[int, ...]) -> None:
    now_ms = round(datetime(*now, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type,misc]
    due = datetime(*expected, tzinfo=UTC)  # type: ignore[arg-type,misc]
    assert Schedule().last_daily(now_ms) == due


async def test_daily_training_is_asked_for_once_by_any_number_of_detectors(pool: "Pool") -> None:
    await ModelStore(pool).add_and_activate(a_model(), 1)
    tomorrow = SetClock(datetime.now(UTC) + timedelta(days=1))
    keepers = [keeper_of(pool, clock) for clock in (SystemClock(), tomorrow, tomorrow)]
    await asyncio.gather(*(keeper.ask_for_what_is_due() for keeper in keepers))
    asked = await pool.fetch("SELECT request_id, trigger FROM detector.training")
    due = Schedule().last_daily(tomorrow.now_ms())
    assert [tuple(each) for each in asked] == [(f"daily-{due:%Y-%m-%d}", "daily")]


async def test_drift_of_the_scores_asks_for_one_training(pool: "Pool") -> None:
    reference = [0] * (BINS - 1) + [5000]
    model = dataclasses.replace(a_model(), score_histogram=reference)
    await ModelStore(pool).add_and_activate(model, 1)
    versions, keeper = VersionStore(pool), keeper_of(pool)
    await versions.add_live(1, Live(samples=4000, loud=1, loud_with_active=1, histogram=reference))
    await keeper.ask_for_what_is_due()
    assert await TrainingStore(pool).next() is None
    other = [9000] + [0] * (BINS - 1)
    await versions.add_live(1, Live(samples=9000, loud=1, loud_with_active=1, histogram=other))
    await keeper.ask_for_what_is_due()
    await keeper.ask_for_what_is_due()
    asked = await pool.fetch("SELECT request_id FROM detector.training")
    assert [each["request_id"] for each in asked] == ["drift-1"]


async def test_what_was_live_long_ago_is_no_drift(pool: "Pool") -> None:
    reference, other = [0] * (BINS - 1) + [5000], [90_000] + [0] * (BINS - 1)
    await ModelStore(pool).add_and_activate(
        dataclasses.replace(a_model(), score_histogram=reference), 1
    )
    versions = VersionStore(pool)
    await versions.add_live(1, Live(samples=1, loud=1, loud_with_active=1, histogram=other))
    await pool.execute("UPDATE detector.live_score SET updated_at = now() - interval '30 days'")
    for _ in range(2):
        await versions.add_live(1, Live(samples=1, loud=1, loud_with_active=1, histogram=reference))
    live = await versions.active()
    assert live is not None
    assert live.drift is not None
    assert live.drift < DRIFT
    assert live.live is not None
    assert live.live.histogram[-1] == pytest.approx(10_000, rel=1e-3)


async def test_damaged_active_version_asks_for_a_training(pool: "Pool") -> None:
    await ModelStore(pool).add_and_activate(a_model(), 1)
    await pool.execute("UPDATE detector.model SET artifact = 'x'")
    await keeper_of(pool).ask_for_what_is_due()
    asked = await pool.fetch("SELECT request_id FROM detector.training")
    assert [each["request_id"][:10] for each in asked] == ["unusable-1"]


async def test_trainings_that_wait_are_bounded(detector: RunningDetector, pool: "Pool") -> None:
    asked = [await TrainingStore(pool).ask(f"mine-{n}", "demand") for n in range(WAITING_MAX + 1)]
    assert asked == [True] * WAITING_MAX + [False]
    await detector.start([])
    async with detector.client(ADMIN) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in stub.TrainModel(detector_pb.TrainModelRequest(), wait_for_ready=True):
                pass
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert from_rpc_error(caught.value).reason == "TRAININGS_WAITING"


async def test_training_that_its_leader_left_behind_is_done_by_the_next(pool: "Pool") -> None:
    await ModelStore(pool).add_and_activate(a_model(), 1)
    await collect(pool, 1, 100)
    trainings = TrainingStore(pool)
    await trainings.ask("left", "demand")
    await trainings.tell("left", Stage.TRAINING, 0.1, "")
    keepers = [keeper_of(pool) for _ in range(2)]
    did = await asyncio.gather(*(keeper.work() for keeper in keepers))
    assert sorted(did) == [False, True]
    assert not await keepers[0].work()
    assert await ModelStore(pool).latest_version() == 2
