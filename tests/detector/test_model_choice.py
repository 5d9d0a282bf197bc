"""Which version scores: versions are measured, and the better one is activated."""

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from mesh.clock import SystemClock
from mesh.errors import Unavailable
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.detectors.evaluation import made_up
from services.detector.model.model_life import Evaluation, Stage
from services.detector.store import ModelStore, TrainingStore, VersionStore
from services.detector.training.evaluate import Evaluator
from tests.detector.models import Stored, a_model, collect, keeper_of, worse_model
from tests.detector.running import WRITER, RunningDetector

if TYPE_CHECKING:
    from mesh.postgres import Pool


async def test_candidate_that_is_not_better_stays_in_the_shadow(pool: "Pool") -> None:
    """Trained on noise, it is worse than the one that scores."""
    await ModelStore(pool).add_and_activate(a_model(), 1)
    await collect(pool, 1, 100)
    await TrainingStore(pool).ask("mine", "demand")
    assert await keeper_of(pool).work()
    training = await TrainingStore(pool).find("mine")
    assert training is not None
    assert (training.stage, training.version) == (Stage.DONE, 2)
    assert training.message.startswith("stays in the shadow: score 0.")
    assert await ModelStore(pool).active_version() == 1
    assert await ModelStore(pool).shadow_version() == 2
    two = await VersionStore(pool).find(2)
    assert two is not None
    assert two.trigger == "demand"
    assert two.evaluation is not None


async def test_candidate_that_is_better_is_activated(pool: "Pool") -> None:
    worse = worse_model()
    await ModelStore(pool).add_and_activate(worse, 1)
    await ModelStore(pool).add_shadow(a_model(), 2)
    assert await keeper_of(pool).evaluate_if_due()
    assert await ModelStore(pool).active_version() == 2
    assert not await keeper_of(pool).evaluate_if_due()


async def test_a_candidate_takes_over_from_a_version_that_cannot_be_used(pool: "Pool") -> None:
    await ModelStore(pool).add_and_activate(a_model(), 1)
    await pool.execute("UPDATE detector.model SET artifact = 'x' WHERE version = 1")
    await collect(pool, 1, 100)
    await TrainingStore(pool).ask("mine", "demand")
    assert await keeper_of(pool).work()
    training = await TrainingStore(pool).find("mine")
    assert training is not None
    assert training.message == "activated: version 1 cannot be used"
    assert await ModelStore(pool).active_version() == 2


async def test_one_version_is_active_whoever_activates_at_a_time(pool: "Pool") -> None:
    await ModelStore(pool).add_and_activate(a_model(), 1)
    for version in range(2, 8):
        await ModelStore(pool).add_shadow(a_model(), version)
    store = VersionStore(pool)
    for _ in range(5):
        assert all(await asyncio.gather(*(store.activate(version) for version in range(1, 8))))
    assert await pool.fetchval("SELECT count(*) FROM detector.model WHERE active") == 1


async def test_versions_are_measured_on_stored_series(pool: "Pool") -> None:
    """Two of them make other figures than made-up ones alone; without ingest those must do."""
    await ModelStore(pool).add_and_activate(a_model(), 1)
    models, versions = ModelStore(pool), VersionStore(pool)

    async def figures(history: Stored) -> Evaluation:
        return (await Evaluator(models, versions, history, SystemClock()).evaluate([1]))[0]

    away = await figures(Stored(error=Unavailable("ingest is away")))
    alone = await figures(Stored())
    stored = await figures(Stored(*made_up(2, seed=7)))
    assert [each.stored_series for each in (away, alone, stored)] == [0, 0, 2]
    assert away.injected_precision == alone.injected_precision != stored.injected_precision


async def test_score_is_the_mean_of_both_figures_where_there_is_feedback() -> None:
    alone = Evaluation(evaluated_ms=0, injected_precision=0.4, injected_anomalies=1,
                       feedback_separation=None, true_alarms=0, false_alarms=0)  # fmt: skip
    both = dataclasses.replace(alone, feedback_separation=0.6)
    assert (alone.score, both.score) == (0.4, 0.5)
    assert both.is_better_than(alone)
    assert not alone.is_better_than(alone)


async def test_evaluation_puts_a_version_beside_the_active_one(
    detector: RunningDetector, pool: "Pool", active_model: int
) -> None:
    await ModelStore(pool).add_shadow(worse_model(), 2)
    await detector.start([])
    async with detector.client(WRITER) as stub:
        answer = await stub.EvaluateModel(
            detector_pb.EvaluateModelRequest(version=2), wait_for_ready=True
        )
    assert answer.evaluation.score < answer.active_evaluation.score
    assert not answer.better
    assert answer.evaluation.injected_anomalies == 108
    better = answer.active_evaluation
    assert answer.evaluation.injected_heard < better.injected_heard <= 108
    assert better.summary.startswith(f"hears {better.injected_heard} of 108 faults put into ")
    assert not answer.evaluation.HasField("feedback_separation")
