"""Series that stop sending: announced once per episode, by their own rhythm, without a storm."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from services.detector.model.anomalies import LAST_SAMPLE, EndReason, EpisodeEnd, Finding, Kind
from services.detector.model.checkpoints import Episode, StoredSeries
from services.detector.model.models import ActiveModel
from services.detector.model.samples import Samples
from services.detector.shards.scoring import ShardScorer
from services.detector.shards.silences import LISTED, RETURN_MS
from tests.detector.running import RunningDetector, eventually
from tests.detector.scripted_ingest import ScriptedIngest
from tests.detector.signals import SETTINGS, START_MS, delivery, forest
from tests.detector.test_rules import scorer_of
from tests.detector.test_scoring import reopened

TICKS = 200


def regular(series: int, interval_ms: int = 1000, ticks: int = TICKS) -> Samples:
    """Series that send like a clock, side by side."""
    return Samples(
        series_ids=np.tile(np.arange(1, series + 1, dtype=np.int64), ticks),
        timestamps_ms=START_MS + np.repeat(np.arange(ticks, dtype=np.int64) * interval_ms, series),
        values=np.full(series * ticks, 5.0),
    )


def fed(series: int, *, job: Any = None, interval_ms: int = 1000) -> tuple[ShardScorer, int]:
    """A shard that has seen them, and the time of their last sample."""
    labels = {n: {"__name__": "up"} | ({"job": job} if job else {}) for n in range(1, series + 1)}
    scorer = scorer_of()
    scorer.score(regular(series, interval_ms), 1, labels)
    return scorer, START_MS + (TICKS - 1) * interval_ms


def test_series_that_stops_is_told_of_once_with_the_interval_expected() -> None:
    scorer, last_ms = fed(1)
    assert scorer.sweep(last_ms + 59_000, last_ms)[0] == []
    (found,) = scorer.sweep(last_ms + 70_000, last_ms)[0]
    assert found.kind is Kind.ABSENCE
    assert found.event_ms == last_ms + 60_000
    assert (found.expected_low, found.expected_high) == (0.0, 1.0)
    assert found.value == 60.0
    assert found.raw_score > 0.99
    assert scorer.sweep(last_ms + 700_000, last_ms)[0] == []


@pytest.mark.parametrize("job", [None, "api"])
def test_series_that_die_one_after_another_are_all_told_of(job: str | None) -> None:
    """Hosts that were retired long ago do not silence the rest of their job."""
    scorer, last_ms = fed(8, job=job, interval_ms=60_000)
    announced = []
    for hour in range(8):
        alive = np.arange(hour + 2, 9, dtype=np.int64)
        times = last_ms + hour * 3_600_000 + 60_000 * np.arange(1, 61)
        sent = Samples(
            series_ids=np.tile(alive, len(times)),
            timestamps_ms=np.repeat(times, len(alive)),
            values=np.full(len(alive) * len(times), 5.0),
        )
        found = scorer.score(sent, 2 + hour, {}).findings
        announced += [each.series_id for each in found if each.kind is Kind.ABSENCE]
        announced += [each.series_id for each in scorer.sweep(int(times[-1]), last_ms)[0]]
    assert announced == list(range(1, 9))


def test_series_that_sends_again_may_be_told_of_again() -> None:
    scorer, last_ms = fed(1)
    assert len(scorer.sweep(last_ms + 70_000, last_ms)[0]) == 1
    back = Samples(series_ids=np.array([1]), timestamps_ms=np.array([last_ms + 80_000]),
                   values=np.array([5.0]))  # fmt: skip
    (end,) = scorer.score(back, 2, {}).ends
    assert (end.series_id, end.kind, end.end_ms) == (1, Kind.ABSENCE, last_ms + 80_000)
    assert scorer.sweep(last_ms + 90_000, last_ms)[0] == []
    assert len(scorer.sweep(last_ms + 80_000 + 3_600_000, last_ms)[0]) == 1


def counted(ticks: range, first: float, *, since_ms: int = START_MS) -> Samples:
    """A counter that grows by 100 a second."""
    return Samples(
        series_ids=np.ones(len(ticks), dtype=np.int64),
        timestamps_ms=since_ms + 1000 * np.array(ticks, dtype=np.int64),
        values=first + 100.0 * np.arange(len(ticks)),
    )


@pytest.mark.parametrize("is_swept", [True, False])
def test_silence_ends_when_a_process_that_died_counts_from_zero_again(is_swept: bool) -> None:
    """The sample after a reset is not scored, yet it came."""
    scorer = scorer_of()
    scorer.score(counted(range(TICKS), 1e6), 1, {1: {"__name__": "requests_total"}})
    last_ms = START_MS + (TICKS - 1) * 1000
    announced = scorer.sweep(last_ms + 70_000, START_MS)[0] if is_swept else []
    back = counted(range(5), 3.0, since_ms=last_ms + 300_000)
    outcome = scorer.score(back, 2, {}, START_MS)
    announced += [each for each in outcome.findings if each.kind is Kind.ABSENCE]
    assert [each.event_ms for each in announced] == [last_ms + 60_000]
    ends = [each.end_ms for each in outcome.ends if each.kind is Kind.ABSENCE]
    assert ends == [last_ms + 300_000]


def test_silence_after_the_first_scored_samples_does_not_depend_on_the_batches() -> None:
    """A series that is past its warm-up within a batch is watched from there on."""
    for ticks in (SETTINGS.warm_up, SETTINGS.warm_up + 1):
        first = regular(1, ticks=ticks)
        later = first.timestamps_ms[-1:] + 90_000
        back = dataclasses.replace(regular(1, ticks=1), timestamps_ms=later)
        labels, found, ends = {1: {"__name__": "up"}}, list[list[Any]](), list[list[Any]]()
        for parts in ([first, back], [Samples.concatenate([first, back])]):
            scorer = scorer_of()
            given = [scorer.score(each, n, labels, 1) for n, each in enumerate(parts, start=1)]
            found.append([each for outcome in given for each in outcome.findings])
            ends.append([each for outcome in given for each in outcome.ends])
        assert found[0] == found[1]
        assert ends[0] == ends[1]
        assert len(found[0]) == len(ends[0]) == ticks - SETTINGS.warm_up


@pytest.mark.parametrize("is_swept", [True, False])
def test_silence_ends_what_was_abnormal_of_the_values(is_swept: bool) -> None:
    """Nobody sees any more whether the series is usual again."""
    values = np.random.default_rng(0).normal(50.0, 2.0, TICKS)
    values[-3:] = 500.0
    scorer = scorer_of()
    scorer.use_model(ActiveModel(version=1, forest=forest()))
    sent = dataclasses.replace(regular(1), values=values)
    found = scorer.score(sent, 1, {1: {"__name__": "up"}}).findings
    last_ms = START_MS + (TICKS - 1) * 1000
    assert found[-1].event_ms > last_ms - 5000
    ends = scorer.sweep(last_ms + 70_000, START_MS)[1] if is_swept else []
    back = dataclasses.replace(regular(1, ticks=1), timestamps_ms=np.array([last_ms + 90_000]))
    ends += scorer.score(back, 2, {}, START_MS).ends
    (over,) = [each for each in ends if each.kind is Kind.VALUE]
    assert (over.end_ms, over.reason) == (last_ms + 60_000, EndReason.FORGOTTEN)


def test_series_is_silent_since_its_last_sample_not_since_that_arrived() -> None:
    scorer = scorer_of()
    late = dataclasses.replace(regular(1), arrived_ms=regular(1).timestamps_ms + 7000)
    scorer.score(late, 1, {1: {"__name__": "up"}})
    last_ms = START_MS + (TICKS - 1) * 1000
    (found,) = scorer.sweep(last_ms + 80_000, START_MS)[0]
    ages = [each.value for each in found.contributions if each.feature == LAST_SAMPLE]
    assert found.event_ms - 1000 * ages[0] == last_ms


def test_slow_series_are_given_more_time() -> None:
    scorer, last_ms = fed(1, interval_ms=600_000)
    assert scorer.sweep(last_ms + 1_800_000, last_ms)[0] == []
    assert len(scorer.sweep(last_ms + 86_400_000, last_ms)[0]) == 1


def test_only_time_that_was_watched_counts_as_silence() -> None:
    """After an outage of the detector or of ingest nobody is blamed for it."""
    scorer, last_ms = fed(1)
    assert scorer.sweep(last_ms + 3_600_000, last_ms + 3_590_000)[0] == []
    assert scorer.sweep(last_ms + 3_800_000, last_ms + 3_590_000)[0] == []
    (found,) = scorer.sweep(last_ms + 3_900_000, last_ms + 3_590_000)[0]
    assert found.event_ms == last_ms + 3_590_000 + RETURN_MS


def test_series_that_comes_in_portions_is_known_to_do_so() -> None:
    """Its timestamps are a second apart, but they arrive every five minutes."""
    scorer, last_ms = fed(1)
    for number in range(1, 5):
        moved = regular(1).timestamps_ms + number * 300_000
        arrived = np.full(TICKS, last_ms + number * 300_000)
        portion = dataclasses.replace(regular(1), timestamps_ms=moved, arrived_ms=arrived)
        announced = scorer.score(portion, 1 + number, {}, last_ms).findings
        assert len(announced) == (number < 3), "what came twice is expected"
    last_ms += 1_200_000
    assert scorer.sweep(last_ms + 800_000, START_MS)[0] == []
    assert len(scorer.sweep(last_ms + 2_000_000, START_MS)[0]) == 1


def test_series_of_one_sender_share_its_label_and_the_first_are_kept_by_name() -> None:
    scorer, last_ms = fed(LISTED + 5, job="api")
    found = scorer.sweep(last_ms + 70_000, last_ms)[0]
    assert {each.shared for each in found} == {("job", "api")}
    assert [each.listed for each in found] == [True] * LISTED + [False] * 5
    assert scorer.sweep(last_ms + 7_000_000, last_ms) == ([], [])


def said_of_a_job(every_ms: int) -> tuple[list[str], list[EpisodeEnd]]:
    """Twenty hosts die one after another; six come back, and fall silent with the end again."""
    dead = [(n, 200 + 2 * n, 500 + 9 * n if n % 3 == 0 else 10_000) for n in range(1, 21)]
    scorer, looked_ms = scorer_of(), START_MS
    announced, ends = list[Finding](), list[EpisodeEnd]()
    labels = {n: {"__name__": "up", "job": "api"} for n in range(1, 21)}
    for second in range(0, 1500, 5):
        now_ms = START_MS + 1000 * second
        while looked_ms + every_ms <= now_ms:
            looked_ms += every_ms
            announced += scorer.sweep(looked_ms, START_MS)[0]
        ids = np.array([n for n, dies, back in dead if not dies <= second < back], dtype=np.int64)
        sent = Samples(series_ids=ids, timestamps_ms=np.full(len(ids), now_ms),
                       values=np.ones(len(ids)))  # fmt: skip
        outcome = scorer.score(sent, second + 1, labels, START_MS)
        announced, ends = [*announced, *outcome.findings], [*ends, *outcome.ends]
    announced += scorer.sweep(START_MS + 3_000_000, START_MS)[0]
    return sorted(each.anomaly_id for each in announced), ends


def test_what_is_told_of_a_job_does_not_depend_on_when_one_looks() -> None:
    announced, ends = said_of_a_job(1000)
    assert len(set(announced)) == len(announced) == 20 + 6
    assert {each.kind for each in ends} == {Kind.ABSENCE}
    assert [each.series_id for each in ends] == [3, 6, 9, 12, 15, 18]
    back_s = [-(-(500 + 9 * n) // 5) * 5 for n in (3, 6, 9, 12, 15, 18)]
    assert [each.end_ms for each in ends] == [START_MS + 1000 * second for second in back_s]
    for every_ms in (7000, 45_000, 200_000):
        assert said_of_a_job(every_ms) == (announced, ends)


def test_move_of_the_shard_tells_nothing_twice() -> None:
    scorer, last_ms = fed(2)
    stored: dict[int, StoredSeries] = {}
    found = scorer.sweep(last_ms + 70_000, last_ms)[0]
    changes = scorer.changes(found, with_training_rows=False)
    episodes = [each for each in changes.episodes if isinstance(each, Episode)]
    checkpoint = dataclasses.replace(reopened(stored, changes), episodes=episodes)
    again = scorer_of(checkpoint=checkpoint)
    assert again.sweep(last_ms + 80_000, last_ms)[0] == []
    without = scorer_of(checkpoint=dataclasses.replace(checkpoint, episodes=()))
    same = without.sweep(last_ms + 90_000, last_ms)[0]
    assert [each.anomaly_id for each in same] == [each.anomaly_id for each in found]


def test_silence_that_nobody_lived_to_tell_is_told_when_the_series_returns() -> None:
    """A holder killed between the heartbeat and its commit takes what he knew with him."""
    (scorer, last_ms), (lost, _) = fed(1), fed(1)
    back = dataclasses.replace(regular(1, ticks=1), timestamps_ms=np.array([last_ms + 90_000]))
    swept = lost.sweep(last_ms + 70_000, START_MS)[0]
    returned, known = scorer.score(back, 2, {}, START_MS), lost.score(back, 2, {}, START_MS)
    assert (returned.findings, known.findings) == (swept, [])
    assert [each.end_ms for each in returned.ends] == [last_ms + 90_000]
    assert returned.ends == known.ends


def test_return_after_a_time_that_was_not_watched_tells_nothing() -> None:
    scorer, last_ms = fed(1)
    back = dataclasses.replace(regular(1, ticks=1), timestamps_ms=np.array([last_ms + 90_000]))
    assert scorer.score(back, 2, {}, last_ms + 85_000).findings == []


def beat(stream_ms: int, lag: int = 0) -> ingest_pb.Heartbeat:
    heartbeat = ingest_pb.Heartbeat(lags=[ingest_pb.ShardLag(shard=0, lag=lag)])
    heartbeat.server_time.FromMilliseconds(stream_ms)
    return heartbeat


async def test_silence_is_announced_by_the_clock_of_ingest(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    """No sample comes any more; heartbeats that say nothing waits are enough."""
    ingest.log_by_shard[0] = [delivery(0, 1, regular(1))]
    await detector.start(["feeds", "consumer"])
    await ingest.until(lambda: 0 in ingest.acked_by_shard)
    await ingest.until_acked()
    last_ms = START_MS + (TICKS - 1) * 1000
    for after_ms in range(1000, 120_000, 20_000):
        ingest.send(ingest.stream, heartbeat=beat(last_ms + after_ms))

    async def announced() -> bool:
        return len(await detector.anomalies()) == 1

    await eventually(announced)
    (found,) = await detector.anomalies()
    assert found.kind == detector_pb.ANOMALY_KIND_ABSENCE


async def test_shard_that_is_behind_says_nothing_about_silence(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    ingest.log_by_shard[0] = [delivery(0, 1, regular(1))]
    await detector.start(["feeds", "consumer"])
    await ingest.until(lambda: 0 in ingest.acked_by_shard)
    await ingest.until_acked()
    last_ms = START_MS + (TICKS - 1) * 1000
    for after_ms in (400_000, 430_000, 470_000, 500_000, 550_000):
        ingest.send(ingest.stream, heartbeat=beat(last_ms + after_ms, lag=7))
    await ingest.write(delivery(0, 2, dataclasses.replace(
        regular(1, ticks=1), timestamps_ms=np.array([last_ms + 1000]))))  # fmt: skip
    await ingest.until_acked()
    assert await detector.anomalies() == []
