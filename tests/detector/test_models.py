"""The life of models: asked for, made, measured, chosen, rolled back; bad ones are refused."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest

from mesh.clock import SystemClock
from mesh.errors import SensusError, Unavailable, from_rpc_error
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.detectors.engine import FEATURES, train
from services.detector.detectors.evaluation import BINS, Track, made_up
from services.detector.feeds.forests import RETRY_AFTER, ForestFeed
from services.detector.model.model_life import Evaluation, JudgedVectors, Live, Stage
from services.detector.model.models import TrainedModel
from services.detector.store import ModelStore, TrainingStore, VersionStore
from services.detector.store.trainings import WAITING_MAX
from services.detector.training.evaluate import Evaluator
from services.detector.training.schedule import DRIFT, Keeper, Schedule
from services.detector.training.train import FirstModelNeeds, Trainer, simulated_rows_for, taught
from tests.detector.running import RunningDetector, eventually
from tests.detector.scripted_ingest import ScriptedIngest
from tests.detector.signals import deliveries, forest, samples
from tests.detector.test_training import a_model, collect, rows

if TYPE_CHECKING:
    from mesh.postgres import Pool

ADMIN = ("admin",)
WRITER = ("write:analysis", "read:analysis")


class SetClock(SystemClock):
    """Tells the time it is given."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now_ms(self) -> int:
        return round(self.moment.timestamp() * 1000)


class Stored:
    """A history of these series, or one that cannot be had."""

    def __init__(self, *tracks: Track, error: SensusError | None = None) -> None:
        self._tracks = [*tracks]
        self._error = error

    async def tracks(self) -> list[Track]:
        if self._error is not None:
            raise self._error
        return self._tracks


def keeper_of(pool: "Pool", clock: SystemClock | None = None) -> Keeper:
    clock = clock or SystemClock()
    models, versions = ModelStore(pool), VersionStore(pool)
    return Keeper(
        trainer=Trainer(models, FirstModelNeeds(samples=100, wait_s=0.0), clock),
        evaluator=Evaluator(models, versions, Stored(), clock),
        models=models,
        versions=versions,
        trainings=TrainingStore(pool),
        schedule=Schedule(),
        clock=clock,
    )


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


def worse_model() -> TrainedModel:
    noise = np.random.default_rng(0).uniform(0, 9, (300, len(FEATURES))).astype(np.float32)
    return a_model(train(noise, seed=1).to_bytes())


async def test_first_model_comes_about_although_nothing_was_ever_new(pool: "Pool") -> None:
    """Perfectly regular series keep no rows; made-up ones are mixed in, and the version says so."""
    await collect(pool, 1, 100, 0)
    trainer = Trainer(ModelStore(pool), FirstModelNeeds(samples=100, wait_s=0.0), SystemClock())
    assert await trainer.train_if_needed()
    version = await VersionStore(pool).find(1)
    assert version is not None
    assert version.parameters["simulated_rows"] == 4096
    assert version.training_samples == 4096


def test_made_up_rows_are_mixed_in_only_where_few_were_seen() -> None:
    assert [simulated_rows_for(count) for count in (0, 255, 256, 5000)] == [4096, 3841, 0, 0]


def test_training_forgets_true_alarms_and_repeats_false_ones() -> None:
    seen = rows(200)
    judged = JudgedVectors(
        true_alarms=seen[:3], false_alarms=np.full((1, len(FEATURES)), 7, np.float32)
    )
    learnt, repeated = taught(seen, judged)
    assert (len(learnt), repeated) == (197 + 9, 9)
    assert (learnt[-9:] == 7).all()


def test_alarms_are_known_though_they_were_stored_to_three_digits() -> None:
    seen = rows(200)
    stored = seen[:3].astype(np.float16).astype(np.float32)
    assert not np.array_equal(stored, seen[:3])
    judged = JudgedVectors(
        true_alarms=stored, false_alarms=np.zeros((0, len(FEATURES)), np.float32)
    )
    learnt, _ = taught(seen, judged)
    assert len(learnt) == 197


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


async def test_score_is_the_mean_of_both_figures_where_there_is_feedback() -> None:
    alone = Evaluation(evaluated_ms=0, injected_precision=0.4, injected_anomalies=1,
                       feedback_separation=None, true_alarms=0, false_alarms=0)  # fmt: skip
    both = dataclasses.replace(alone, feedback_separation=0.6)
    assert (alone.score, both.score) == (0.4, 0.5)
    assert both.is_better_than(alone)
    assert not alone.is_better_than(alone)


async def test_train_model_streams_progress_and_is_the_same_for_the_same_id(
    detector: RunningDetector, pool: "Pool", active_model: int
) -> None:
    await collect(pool, 1, 100)
    await detector.start(["trainer", "feeds"])
    async with detector.client(WRITER) as stub:
        request = detector_pb.TrainModelRequest(request_id="mine")
        steps = [step async for step in stub.TrainModel(request, wait_for_ready=True)]
        again = [step async for step in stub.TrainModel(request)]
        listed = await stub.ListModelVersions(detector_pb.ListModelVersionsRequest(page_size=1))
        rest = await stub.ListModelVersions(
            detector_pb.ListModelVersionsRequest(page_token=listed.next_page_token)
        )
    assert steps[-1].stage == detector_pb.TRAINING_STAGE_DONE
    assert steps[-1].version == 2
    assert [step.stage for step in steps] == sorted(step.stage for step in steps)
    assert again == steps[-1:]
    assert [each.version for each in (*listed.models, *rest.models)] == [2, 1]
    assert rest.next_page_token == ""
    assert listed.models[0].state == detector_pb.MODEL_STATE_SHADOW
    assert rest.models[0].state == detector_pb.MODEL_STATE_ACTIVE


async def test_rollback_is_the_activation_of_an_older_version_and_needs_no_restart(
    detector: RunningDetector, pool: "Pool", active_model: int, ingest: ScriptedIngest
) -> None:
    """Samples flow all the while; none is lost."""
    await ModelStore(pool).add_and_activate(a_model(), 2)
    whole = samples()
    frames = deliveries(0, whole, 60)
    ingest.log_by_shard[0] = []
    await detector.start(["feeds", "consumer", "live"])
    await ingest.write(*frames[:6])
    await eventually(lambda: version_of(detector) == 2)
    async with detector.client(ADMIN) as stub:
        request = detector_pb.ActivateModelVersionRequest(version=1)
        answer = await stub.ActivateModelVersion(request, wait_for_ready=True)
        assert answer.model.state == detector_pb.MODEL_STATE_ACTIVE
        await eventually(lambda: version_of(detector) == 1)
        await ingest.write(*frames[6:])
        await ingest.until_acked()
        status = await stub.GetDetectorStatus(detector_pb.GetDetectorStatusRequest())
    assert (status.processed_samples, status.model_version) == (len(whole), 1)


def version_of(detector: RunningDetector) -> int:
    model = detector.parts.forests.model()
    return model.version if model else 0


@pytest.mark.parametrize(
    ("damage", "cause"),
    [("artifact = 'x'::bytea", "does not match its hash"),
     ("feature_names = '{other}', artifact = 'x'::bytea,"
      " artifact_sha256 = sha256('x'::bytea)", "not a Sensus forest")],
)  # fmt: skip
async def test_version_that_cannot_be_used_is_refused_and_the_active_one_stays(
    detector: RunningDetector, pool: "Pool", active_model: int, damage: str, cause: str
) -> None:
    await ModelStore(pool).add_shadow(a_model(), 2)
    await pool.execute(f"UPDATE detector.model SET {damage} WHERE version = 2")
    await detector.start([])
    async with detector.client(ADMIN) as stub:
        for call, request in (
            (stub.ActivateModelVersion, detector_pb.ActivateModelVersionRequest(version=2)),
            (stub.EvaluateModel, detector_pb.EvaluateModelRequest(version=2)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(request, wait_for_ready=True)  # type: ignore[operator]
            assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert from_rpc_error(caught.value).reason == "MODEL_UNUSABLE"
            assert cause in from_rpc_error(caught.value).message
    assert await ModelStore(pool).active_version() == 1


async def test_unknown_version_is_not_found(detector: RunningDetector, active_model: int) -> None:
    await detector.start([])
    async with detector.client(ADMIN) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ActivateModelVersion(
                detector_pb.ActivateModelVersionRequest(version=9), wait_for_ready=True
            )
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert from_rpc_error(caught.value).reason == "MODEL_VERSION_NOT_FOUND"


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


async def test_shadow_looks_at_live_samples_and_announces_nothing(
    detector: RunningDetector, pool: "Pool", active_model: int, ingest: ScriptedIngest
) -> None:
    await ModelStore(pool).add_shadow(dataclasses.replace(a_model(), loud=1.0), 2)
    ingest.log_by_shard[0] = deliveries(0, samples(), 60)
    await detector.start(["feeds", "consumer"])
    await ingest.until(lambda: 0 in ingest.acked_by_shard)
    await ingest.until_acked()
    await detector.parts.live.flush()
    one, two = await VersionStore(pool).find(1), await VersionStore(pool).find(2)
    assert one is not None
    assert two is not None
    assert one.live is not None
    assert two.live is not None
    assert one.live.samples == two.live.samples > 0
    assert two.live.loud > 0
    assert {each.model_version for each in await detector.anomalies()} == {1}


async def test_start_with_a_damaged_active_version_scores_with_the_newest_usable(
    pool: "Pool",
) -> None:
    store = ModelStore(pool)
    for version in (1, 2, 3, 4):
        await store.add_and_activate(a_model(), version)
    await pool.execute("UPDATE detector.model SET artifact = 'x' WHERE version IN (3, 4)")
    feed = ForestFeed(store)
    await feed.refresh()
    assert feed.model() is not None
    assert feed.model().version == 2  # type: ignore[union-attr]
    mended = a_model().artifact
    await pool.execute("UPDATE detector.model SET artifact = $1 WHERE version = 4", mended)
    for _ in range(RETRY_AFTER):
        await feed.refresh()
    assert feed.model().version == 4  # type: ignore[union-attr]


async def test_shadow_becomes_active_without_being_read_again(pool: "Pool") -> None:
    store = ModelStore(pool)
    feed = ForestFeed(store)
    await store.add_and_activate(a_model(), 1)
    await store.add_shadow(a_model(forest().to_bytes()), 2)
    await feed.refresh()
    shadow = feed.shadow()
    await VersionStore(pool).activate(2)
    await feed.refresh()
    assert feed.model() is shadow
    assert feed.shadow() is None


async def test_leader_whose_connection_was_cut_ends_when_it_is_cancelled(pool: "Pool") -> None:
    """The lock went with the connection: giving it up must not hide why the block ends."""
    models, entered = ModelStore(pool), asyncio.Event()

    async def lead() -> None:
        async with models.lead() as leads:
            assert leads
            entered.set()
            await asyncio.Event().wait()

    leading = asyncio.create_task(lead())
    await entered.wait()
    await pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    leading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leading

    async def free() -> bool:
        async with models.lead() as leads:
            return leads

    await eventually(free)
