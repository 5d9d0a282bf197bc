"""Versions of the model in a running detector: trained, listed, rolled back, refused when bad."""

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import grpc
import pytest

from mesh.errors import from_rpc_error
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.feeds.forests import RETRY_AFTER, ForestFeed
from services.detector.store import ModelStore, VersionStore
from tests.detector.models import a_model, collect
from tests.detector.running import ADMIN, WRITER, RunningDetector, eventually
from tests.detector.scripted_ingest import ScriptedIngest
from tests.detector.signals import deliveries, forest, samples

if TYPE_CHECKING:
    from mesh.postgres import Pool


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
