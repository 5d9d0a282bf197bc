"""Streams that break, fall silent or carry nonsense: opened again, nothing lost or doubled."""

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from tests.detector.running import RunningDetector, eventually
from tests.detector.scripted_ingest import ScriptedIngest
from tests.detector.signals import deliveries, samples
from tests.detector.undisturbed import expected, found

if TYPE_CHECKING:
    from mesh.postgres import Pool


async def start_without_samples(detector: RunningDetector, ingest: ScriptedIngest) -> None:
    """The detector follows a shard whose log is empty still."""
    ingest.log_by_shard[0] = []
    await detector.start()
    await ingest.until(lambda: bool(ingest.streams) and 0 in ingest.stream.position_by_shard)


@pytest.mark.usefixtures("active_model")
async def test_broken_stream_is_opened_again_and_resumes_from_the_checkpoint(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    log = deliveries(0, samples(), 20)
    await ingest.write(*log[:15])
    await detector.start()
    await ingest.until(lambda: ingest.acked_by_shard.get(0, 0) > 0)
    ingest.refusals = [(grpc.StatusCode.UNAVAILABLE, "away"), (grpc.StatusCode.UNAVAILABLE, "away")]
    ingest.stream.outgoing.put_nowait(None)
    await ingest.until(lambda: len(ingest.streams) == 2)
    await ingest.write(*log[15:])
    await ingest.until_acked()
    assert await found(detector) == expected(samples())
    assert (await detector.status()).processed_samples == len(samples())


@pytest.mark.usefixtures("active_model")
async def test_silent_stream_is_given_up_after_three_heartbeats(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    ingest.heartbeat_interval = Duration(nanos=200_000_000)
    ingest.heartbeats = False
    ingest.log_by_shard[0] = []
    await detector.start()
    await ingest.until(lambda: len(ingest.streams) >= 2)
    ingest.heartbeat_interval = Duration(seconds=5)
    ingest.heartbeats = True
    await ingest.write(*deliveries(0, samples(), 50))
    await ingest.until_acked()
    assert await found(detector) == expected(samples())


@pytest.mark.usefixtures("active_model")
async def test_delivery_with_unequal_columns_ends_the_stream_and_harms_nothing(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    log = deliveries(0, samples(), 60)
    await start_without_samples(detector, ingest)
    bad = ingest_pb.SampleDelivery(shard=0, cursor=1, epoch=1, series_ids=b"12345678")
    ingest.send(ingest.stream, samples=bad)
    await ingest.until(lambda: len(ingest.streams) == 2)
    await ingest.write(*log)
    await ingest.until_acked()
    assert await found(detector) == expected(samples())


@pytest.mark.usefixtures("active_model")
async def test_series_without_labels_ends_the_stream_and_harms_nothing(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    log = deliveries(0, samples(), 60)
    await start_without_samples(detector, ingest)
    ingest.stream.named.update({1, 2, 3})
    await ingest.write(*log)
    await ingest.until(lambda: len(ingest.streams) == 2)
    await ingest.until_acked()
    assert await found(detector) == expected(samples())


async def test_detector_that_was_replaced_opens_its_stream_again(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    """Somebody else with its name must not be able to end the process."""
    ingest.refusals = [(grpc.StatusCode.ABORTED, "CONSUMER_REPLACED")]
    ingest.log_by_shard[0] = deliveries(0, samples(), 60)
    await detector.start()
    await ingest.until_acked()


@pytest.mark.usefixtures("active_model")
async def test_cut_database_connections_lose_and_double_nothing(
    detector: RunningDetector, ingest: ScriptedIngest, pool: "Pool"
) -> None:
    """A commit whose answer was lost is found out by the fence, and the shard is taken anew."""
    whole = samples(ticks=900)
    ingest.log_by_shard[0] = []
    ingest.reassigns = True
    await detector.start(checkpoint_interval_s=0.02)
    cutting = asyncio.create_task(_cut_connections(pool))
    for each in deliveries(0, whole, 30):
        await ingest.write(each)
        await asyncio.sleep(0.03)
    cutting.cancel()
    await asyncio.gather(cutting, return_exceptions=True)
    await ingest.until_acked()
    assert await found(detector) == expected(whole)
    assert (await detector.status()).processed_samples == len(whole)


async def _cut_connections(pool: "Pool") -> None:
    while True:
        await asyncio.sleep(0.15)
        await pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'detector'"
        )


@pytest.mark.usefixtures("active_model")
async def test_broken_streams_leave_no_task_behind(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    await ingest.write(*deliveries(0, samples(), 100))
    await detector.start()
    await ingest.until_acked()
    await asyncio.sleep(0.3)
    before = len(asyncio.all_tasks())
    for count in range(2, 7):
        ingest.stream.outgoing.put_nowait(None)
        await ingest.until(lambda n=count: len(ingest.streams) == n)
        await ingest.until(lambda: 0 in ingest.stream.position_by_shard)
    await eventually(lambda: len(asyncio.all_tasks()) <= before)
