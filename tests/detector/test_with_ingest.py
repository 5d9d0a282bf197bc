"""The detector with the real ingest: shards move, detectors die, nothing is lost or doubled."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from mesh.errors import from_rpc_error
from sensus.core.v1 import series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from services.detector.detectors.replay import replay
from services.detector.model.checkpoints import Checkpoint
from services.detector.model.models import ActiveModel
from services.detector.model.samples import Samples
from services.detector.shards.scoring import ShardScorer
from tests.detector.running import RunningDetector, eventually
from tests.detector.signals import SERIES, SETTINGS, forest, labels_of, part, samples
from tests.ingest.harness import Running, config, running

SHARDS = 4
TICKS = 300


@pytest.fixture
async def real_ingest(migrated_dsn: str, redis_url: str, keys: Path) -> AsyncIterator[Running]:
    """The real service in this process, with four shards and leases of two seconds."""
    async with running(config(migrated_dsn, redis_url, keys, shard_count=SHARDS), keys) as ingest:
        yield ingest


@pytest.fixture
async def detectors(
    real_ingest: Running, migrated_dsn: str, keys: Path
) -> AsyncIterator[list[RunningDetector]]:
    """Three detectors that are not started."""
    async with AsyncExitStack() as stack:
        made = []
        for number in range(3):
            detector = RunningDetector(migrated_dsn, f"127.0.0.1:{real_ingest.port}", keys)
            detector.settings["consumer_id"] = f"detector-{number}"
            stack.push_async_callback(detector.stop)
            made.append(detector)
        yield made


def recent() -> Samples:
    """The made samples of several groups of series, ending a minute ago."""
    end_ms = time.time_ns() // 1_000_000 - 60_000
    groups = [samples(1 + SERIES * n, seed=n, ticks=TICKS) for n in range(6)]
    whole = Samples.concatenate(groups)
    order = np.argsort(whole.timestamps_ms, kind="stable")
    times = whole.timestamps_ms[order]
    return Samples(
        series_ids=whole.series_ids[order],
        timestamps_ms=times - times[-1] + end_ms,
        values=whole.values[order],
    )


async def write(ingest: Running, whole: Samples, size: int, pause_s: float) -> None:
    """Writes it in batches as one producer would."""
    for sequence, start in enumerate(range(0, len(whole), size), start=1):
        chunk = part(whole, start, start + size)
        known = np.unique(chunk.series_ids).tolist()
        request = ingest_pb.WriteBatchRequest(
            producer_id="test",
            series=[
                ingest_pb.SeriesDefinition(ref=series_id, labels=label_messages(series_id))
                for series_id in known
            ],
            batch=ingest_pb.SampleBatch(
                sequence=sequence,
                columns=ingest_pb.SampleColumns(
                    series_refs=chunk.series_ids.astype("<u4").tobytes(),
                    timestamps_ms=chunk.timestamps_ms.astype("<i8").tobytes(),
                    values=chunk.values.astype("<f8").tobytes(),
                ),
            ),
        )
        ack = (await ingest.stub.WriteBatch(request)).ack
        assert ack.accepted == len(chunk)
        await asyncio.sleep(pause_s)


def label_messages(series_id: int) -> list[series_pb2.Label]:
    return [series_pb2.Label(name=n, value=v) for n, v in sorted(labels_of(series_id).items())]


async def test_versions_are_measured_on_what_is_stored(
    real_ingest: Running, detectors: list[RunningDetector]
) -> None:
    """Long enough series alone, each by itself though others have all its labels and more."""
    end_ms = time.time_ns() // 1_000_000 - 60_000
    alone = {"__name__": "http.requests", "job": "api"}
    beside = alone | {"path": 'a"b'}
    young = {"__name__": "young"}
    random = np.random.default_rng(0)
    values = {1: random.normal(0, 1, 600), 2: random.normal(50, 1, 700), 3: np.zeros(499)}
    definitions = [
        ingest_pb.SeriesDefinition(
            ref=ref, labels=[series_pb2.Label(name=n, value=labels[n]) for n in sorted(labels)]
        )
        for ref, labels in ((1, alone), (2, beside), (3, young))
    ]
    columns = ingest_pb.SampleColumns(
        series_refs=np.repeat([1, 2, 3], [600, 700, 499]).astype("<u4").tobytes(),
        timestamps_ms=np.concatenate(
            [end_ms - 1000 * np.arange(len(each))[::-1] for each in values.values()]
        )
        .astype("<i8")
        .tobytes(),
        values=np.concatenate([*values.values()]).astype("<f8").tobytes(),
    )
    batch = ingest_pb.SampleBatch(sequence=1, columns=columns)
    request = ingest_pb.WriteBatchRequest(producer_id="test", series=definitions, batch=batch)
    assert (await real_ingest.stub.WriteBatch(request)).ack.accepted == 1799

    await detectors[0].start(workers=[])
    tracks = await detectors[0].parts.history.tracks()
    assert sorted(len(each.values) for each in tracks) == [600, 700]
    for each in tracks:
        wanted = values[1] if len(each.values) == 600 else values[2]
        assert np.array_equal(each.values, wanted)
        assert each.timestamps_ms[-1] == end_ms


def expected(whole: Samples) -> list[tuple[str, int]]:
    """Series number and time of the anomalies of an undisturbed run."""
    scorer = ShardScorer(Checkpoint(shard=0, epoch=1), SETTINGS)
    scorer.use_model(ActiveModel(version=1, forest=forest()))
    labels = {series_id: labels_of(series_id) for series_id in np.unique(whole.series_ids).tolist()}
    found = scorer.score(whole, 1, labels).findings
    return sorted((each.labels["number"], each.event_ms) for each in found)


async def found(detector: RunningDetector) -> list[tuple[str, int]]:
    return sorted(
        (
            next(label.value for label in anomaly.labels if label.name == "number"),
            anomaly.event_time.ToMilliseconds(),
        )
        for anomaly in await detector.anomalies()
    )


async def processed(detector: RunningDetector) -> int:
    return (await detector.status()).processed_samples


@pytest.mark.usefixtures("active_model")
async def test_all_that_is_written_is_scored_once(
    real_ingest: Running, detectors: list[RunningDetector]
) -> None:
    whole = recent()
    await detectors[0].start()
    await write(real_ingest, whole, 500, 0.0)
    await eventually(lambda: all_processed(detectors[0], whole))
    assert await found(detectors[0]) == expected(whole)
    assert len(expected(whole)) > 0


async def all_processed(detector: RunningDetector, whole: Samples) -> bool:
    return await processed(detector) >= len(whole)


@pytest.mark.usefixtures("active_model")
async def test_shards_move_between_detectors_without_loss_or_doubling(
    real_ingest: Running, detectors: list[RunningDetector]
) -> None:
    """One alone, then three, then one again."""
    whole = recent()
    first, second, third = detectors
    await first.start()
    writing = asyncio.create_task(write(real_ingest, whole, 60, 0.12))
    await asyncio.sleep(2)
    await second.start()
    await third.start()
    await eventually(lambda: holders(first, 3))
    await second.stop()
    await first.stop()
    await writing
    await eventually(lambda: all_processed(third, whole))
    assert await processed(third) == len(whole)
    assert await found(third) == expected(whole)


async def holders(detector: RunningDetector, count: int) -> bool:
    shards = (await detector.status()).shards
    return len({place.holder for place in shards}) == count


@pytest.mark.usefixtures("active_model")
async def test_credit_lasts_with_the_real_ingest(
    real_ingest: Running, detectors: list[RunningDetector]
) -> None:
    """With far less credit than there is to deliver, all of it comes."""
    whole = recent()
    await detectors[0].start(in_flight_samples=1000, in_flight_bytes=1 << 20)
    await write(real_ingest, whole, 1000, 0.0)
    await eventually(lambda: all_processed(detectors[0], whole))


async def test_expected_range_of_a_stored_series_is_that_of_a_replay(
    real_ingest: Running, detectors: list[RunningDetector], active_model: int
) -> None:
    """Thinned to what lies farthest outside, and refused where nobody could answer."""
    whole = recent()
    await write(real_ingest, whole, size=len(whole), pause_s=0.0)
    detector = detectors[0]
    await detector.start(["feeds", "consumer"])

    async def all_known() -> bool:
        return (await detector.status()).series_count == len(np.unique(whole.series_ids))

    await eventually(all_known)
    named = await real_ingest.stub.ListSeries(ingest_pb.ListSeriesRequest(selector='{number="1"}'))
    ask = detector_pb.GetExpectedRangeRequest(series_id=named.series[0].series_id)
    ask.start_time.FromMilliseconds(int(whole.timestamps_ms[0]))
    mine = whole.series_ids == 1
    scores = replay(whole.timestamps_ms[mine], whole.values[mine], forest=forest(),
                    settings=SETTINGS)  # fmt: skip
    shown = np.isfinite(scores.expected_low)
    async with detector.client() as stub:
        found = await stub.GetExpectedRange(ask)
        assert list(found.timestamps_ms) == whole.timestamps_ms[mine][shown].tolist()
        assert list(found.low) == scores.expected_low[shown].tolist()
        assert list(found.high) == scores.expected_high[shown].tolist()
        assert not found.is_counter
        ask.max_points = 7
        thinned = await stub.GetExpectedRange(ask)
        assert len(thinned.values) <= 7
        assert {max(thinned.values), min(thinned.values)} == {max(found.values), min(found.values)}
        for change, reason in (
            ({"series_id": 999_999}, "SERIES_NOT_FOUND"),
            ({"max_points": 5001}, "INVALID_MAX_POINTS"),
            ({"end_time": ask.start_time}, "INVALID_TIME_RANGE"),
            ({"start_time": Timestamp(seconds=1)}, "INVALID_TIME_RANGE"),
        ):
            bad = detector_pb.GetExpectedRangeRequest()
            bad.CopyFrom(ask)
            bad.MergeFrom(detector_pb.GetExpectedRangeRequest(**change))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.GetExpectedRange(bad)
            assert from_rpc_error(caught.value).reason == reason
