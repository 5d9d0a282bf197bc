"""Samples in, over a real stream: warm-up, scores, credits, gaps, moves."""

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from services.detector import metrics
from services.detector.model.samples import Samples
from services.detector.shards.scoring import ShardScorer
from tests.detector.running import RunningDetector, eventually
from tests.detector.scripted_ingest import ScriptedIngest
from tests.detector.signals import SERIES, deliveries, delivery, part, samples
from tests.detector.undisturbed import expected, found, processed

if TYPE_CHECKING:
    pass


async def test_what_costs_time_by_series_is_done_off_the_event_loop(
    detector: RunningDetector, ingest: ScriptedIngest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new rule or judgement is matched with every series of the shard."""
    threads: dict[str, set[int]] = {}
    for name in ("use_model", "use_rules", "use_strictness", "sweep", "score", "changes"):
        done = getattr(ShardScorer, name)

        def noted(*given: Any, done: Any = done, name: str = name, **named: Any) -> Any:
            threads.setdefault(name, set()).add(threading.get_ident())
            return done(*given, **named)

        monkeypatch.setattr(ShardScorer, name, noted)
    ingest.log_by_shard[0] = deliveries(0, samples(), 400)
    await detector.start(["feeds", "consumer"])
    await ingest.until(lambda: 0 in ingest.acked_by_shard)
    await ingest.until_acked()
    heartbeat = ingest_pb.Heartbeat(lags=[ingest_pb.ShardLag(shard=0, lag=0)])
    heartbeat.server_time.FromMilliseconds(int(samples().timestamps_ms[-1]) + 1000)
    ingest.send(ingest.stream, heartbeat=heartbeat)
    await eventually(lambda: "sweep" in threads)
    assert len(threads) == 6
    assert all(threading.get_ident() not in each for each in threads.values())


async def test_detector_without_a_model_says_that_it_warms_up(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    await ingest.write(*deliveries(0, samples(), 90))
    await detector.start(warmup_samples=100_000)
    await ingest.until_acked()
    status = await detector.status()
    assert status.phase == detector_pb.DETECTOR_PHASE_WARMING_UP
    assert (status.model_version, status.HasField("model_train_time")) == (0, False)
    assert 0 < status.warmup_samples < status.warmup_samples_needed == 100_000
    assert (status.processed_samples, status.series_count) == (len(samples()), 3)
    assert await detector.anomalies() == []


async def test_first_model_is_trained_from_what_was_seen_and_then_samples_are_scored(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    calm = part(samples(seed=5, ticks=400), 0, 190 * SERIES)  # up to its first spike
    ingest.log_by_shard[0] = []
    await detector.start()
    for each in deliveries(0, calm, 60):
        await ingest.write(each)
        await asyncio.sleep(0.1)
    await eventually(lambda: detector.parts.forests.model() is not None)
    assert (await detector.status()).phase == detector_pb.DETECTOR_PHASE_SCORING
    spike = Samples(
        series_ids=np.array([2]), timestamps_ms=calm.timestamps_ms[-1:] + 1000,
        values=np.array([900.0]))  # fmt: skip
    await ingest.write(delivery(0, 10_001, spike))
    await ingest.until_acked()
    status = await detector.status()
    assert (status.model_version, status.HasField("model_train_time")) == (1, True)
    assert status.warm_series_count == 3
    assert (await detector.anomalies())[0].value == 900.0


@pytest.mark.usefixtures("active_model")
async def test_anomalies_are_those_of_an_undisturbed_run(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    await ingest.write(*deliveries(0, samples(), 17))
    await ingest.write(*deliveries(1, samples(4, seed=2), 40))
    await detector.start()
    await ingest.until_acked(0)
    await ingest.until_acked(1)
    both = expected(samples()) + expected(samples(4, seed=2))
    assert await found(detector) == sorted(both)
    assert len(both) >= 2


@pytest.mark.usefixtures("active_model")
async def test_credit_comes_back_as_work_is_committed_and_is_never_overdrawn_for_long(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    whole = samples(ticks=3000)
    await ingest.write(*deliveries(0, whole, 300))
    await detector.start(in_flight_samples=1000, checkpoint_interval_s=30)
    await ingest.until_acked()
    await ingest.until(lambda: ingest.stream.credit_samples == 1000)
    opened = ingest.stream.opened
    assert (opened.initial_credit.samples, opened.subscription) == (1000, "detector")
    assert ingest.stream.credit_bytes == opened.initial_credit.bytes
    assert ingest.stream.least_credit_samples > -300
    assert metrics.CREDIT_USED._value.get() == 0


@pytest.mark.usefixtures("active_model")
async def test_deliveries_that_come_twice_count_once(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    log = deliveries(0, samples(), 30)
    ingest.log_by_shard[0] = []
    await detector.start()
    await ingest.until(lambda: len(ingest.streams) == 1 and ingest.stream.position_by_shard)
    for each in log:
        await ingest.write(each)
        ingest._deliver(ingest.stream, 0, each)
    await ingest.until_acked()
    initial = ingest.stream.opened.initial_credit.samples
    await ingest.until(lambda: ingest.stream.credit_samples == initial)
    assert (await detector.status()).processed_samples == len(samples())
    assert await found(detector) == expected(samples())


@pytest.mark.usefixtures("active_model")
async def test_gap_is_counted_and_the_state_goes_on(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    log = deliveries(0, samples(), 30)
    before = metrics.GAPS._value.get()
    ingest.gap_by_shard[0] = ingest_pb.Gap(shard=0, resumes_after_cursor=log[9].cursor)
    await ingest.write(*log)
    await detector.start()
    await ingest.until_acked()
    kept = part(samples(), 300, len(samples()))
    assert metrics.GAPS._value.get() == before + 1
    assert (await detector.status()).processed_samples == len(kept)
    assert await found(detector) == expected(kept)


@pytest.mark.usefixtures("active_model")
async def test_gap_without_samples_after_it_is_told_once(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    ingest.gap_by_shard[0] = ingest_pb.Gap(shard=0, resumes_after_cursor=77)
    ingest.log_by_shard[0] = []
    await detector.start()
    await ingest.until(lambda: ingest.acked_by_shard.get(0) == 77)
    assert (await detector.status()).shards[0].cursor == 77


@pytest.mark.usefixtures("active_model")
async def test_revoked_shard_is_checkpointed_acked_and_released(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    log = deliveries(0, samples(), 30)
    await ingest.write(*log[:10])
    before = processed()
    await detector.start(checkpoint_interval_s=30)
    await eventually(lambda: processed() - before == 300)
    ingest.revoke(ingest.stream, 0)
    await ingest.until(lambda: ingest.stream.released == [(0, 1)])
    assert ingest.acked_by_shard[0] == log[9].cursor
    ingest.assign(ingest.stream, 0)
    await ingest.write(*log[10:])
    await ingest.until(lambda: 0 in ingest.stream.position_by_shard)
    ingest.revoke(ingest.stream, 0)
    await ingest.until(lambda: ingest.stream.released == [(0, 1), (0, 2)])
    initial = ingest.stream.opened.initial_credit.samples
    await ingest.until(lambda: ingest.stream.credit_samples == initial)


@pytest.mark.usefixtures("active_model")
async def test_shard_that_another_holder_has_is_dropped_and_its_state_is_not_written(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    """A zombie: the store knows a later epoch than the one this detector works under."""
    log = deliveries(0, samples(), 30)
    await ingest.write(*log[:5])
    await detector.start()
    await ingest.until_acked()
    thief = await detector.parts.checkpoints.claim(0, 50, "other")
    await ingest.write(*log[5:])
    await ingest.until(lambda: ingest.stream.released == [(0, 1)])
    status = (await detector.status()).shards[0]
    assert (status.holder, status.cursor) == ("other", thief.cursor)
    assert ingest.acked_by_shard[0] == log[4].cursor
    ingest.assign(ingest.stream, 0, epoch=51)
    await ingest.until_acked()
    assert await found(detector) == expected(samples())


@pytest.mark.usefixtures("active_model")
async def test_draining_ingest_gets_its_shards_back_and_is_asked_again(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    log = deliveries(0, samples(), 30)
    await ingest.write(*log[:8])
    before = processed()
    await detector.start(checkpoint_interval_s=30)
    await eventually(lambda: processed() - before == 8 * 30)
    first = ingest.stream
    ingest.send(first, draining=ingest_pb.Draining())
    await ingest.until(lambda: len(ingest.streams) == 2)
    assert first.released == [(0, 1)]
    assert ingest.acked_by_shard[0] == log[7].cursor
    await ingest.write(*log[8:])
    await eventually(lambda: processed() - before == len(samples()))
    await detector.stop()
    assert ingest.acked_by_shard[0] == log[-1].cursor


@pytest.mark.usefixtures("active_model")
@pytest.mark.parametrize("drains", [True, False])
async def test_detector_that_is_told_to_stop_checkpoints_and_releases(
    detector: RunningDetector, ingest: ScriptedIngest, drains: bool
) -> None:
    """By the word to drain, and by cancellation alone."""
    log = deliveries(0, samples(), 30)
    await ingest.write(*log)
    before = processed()
    await detector.start(checkpoint_interval_s=30)
    await eventually(lambda: processed() - before == len(samples()))
    await (detector.stop() if drains else detector.cancel())
    assert ingest.stream.released == [(0, 1)]
    assert ingest.acked_by_shard[0] == log[-1].cursor
