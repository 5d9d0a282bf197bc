"""What senders say of their metrics reaches the detector, and what it makes of that."""

import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as otlp_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as otlp_grpc

from mesh.errors import Unavailable
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from services.detector.feeds.metric_types import CONTRADICTIONS, OVERLAP_MS, MetricTypeFeed
from services.detector.model.anomalies import EndReason, Kind
from services.detector.model.checkpoints import StoredSeries
from services.detector.model.metric_types import MetricType, Said, kind_of
from services.detector.model.rules import Rule
from services.detector.model.samples import SeriesKind, SeriesKindSource
from services.detector.shards.scoring import ShardScorer
from tests.detector.running import RunningDetector, eventually
from tests.detector.scripted_ingest import ScriptedIngest
from tests.detector.signals import SETTINGS
from tests.detector.test_scoring import reopened
from tests.detector.test_series_kinds import NAMED_GAUGE, growing, saying, scorer_of, values
from tests.ingest.harness import Running, config, running
from tests.ingest.prometheus import messages

COUNTER, GAUGE = MetricType.COUNTER, MetricType.GAUGE
COUNTER_KIND = detector_pb.SERIES_KIND_COUNTER
JOBS = {"jobs_done": COUNTER}
MINUTE_MS = 60_000


class Told:
    """Answers with what a test says, and notes since when it was asked for."""

    def __init__(self) -> None:
        self.said = Said({}, None)
        self.since_ms: list[int | None] = []

    async def changed(self, since_ms: int | None) -> Said:
        self.since_ms.append(since_ms)
        return self.said


@pytest.mark.parametrize(
    ("types", "name", "kind"),
    [
        (JOBS, "jobs_done", SeriesKind.COUNTER),
        (JOBS, "jobs_done_total", SeriesKind.COUNTER),
        (JOBS, "jobs_done_created", SeriesKind.UNKNOWN),
        (JOBS, "jobs", SeriesKind.UNKNOWN),
        ({"a_total": GAUGE}, "a_total", SeriesKind.GAUGE),
        ({"a": MetricType.HISTOGRAM}, "a_bucket", SeriesKind.COUNTER),
        ({"a": MetricType.HISTOGRAM}, "a_count", SeriesKind.COUNTER),
        ({"a": MetricType.HISTOGRAM}, "a_sum", SeriesKind.UNKNOWN),
        ({"a": MetricType.HISTOGRAM, "a_count": GAUGE}, "a_count", SeriesKind.GAUGE),
        ({"a": MetricType.SUMMARY}, "a_count", SeriesKind.COUNTER),
        ({"a": MetricType.SUMMARY}, "a", SeriesKind.UNKNOWN),
        ({"a": MetricType.GAUGE_HISTOGRAM}, "a_bucket", SeriesKind.GAUGE),
        ({"a": MetricType.UNKNOWN}, "a", SeriesKind.UNKNOWN),
        ({"": COUNTER}, "", SeriesKind.COUNTER),
    ],
)
def test_kind_follows_from_the_type(
    types: dict[str, MetricType], name: str, kind: SeriesKind
) -> None:
    assert kind_of(name, types) is kind


def test_counter_by_its_sender_is_scored_as_a_rate_from_the_first_samples_on() -> None:
    """Before its values could tell: the burst comes after twenty-five samples."""
    scorer = scorer_of()
    scorer.use_rules([], JOBS)
    found = values(scorer.score(growing(burst=25, count=60), 1, {1: NAMED_GAUGE}).findings)
    assert found
    assert {each.series_kind for each in found} == {SeriesKind.COUNTER}
    assert {each.series_kind_source for each in found} == {SeriesKindSource.METADATA}


def test_gauge_by_its_sender_is_none_by_its_name_or_its_values() -> None:
    """A leak that restarts grows and begins again, and is no counter."""
    level = np.tile(np.linspace(10.0, 90.0, 90), 10) + np.random.default_rng(3).normal(0, 0.05, 900)
    level[700:720] += 500
    samples = dataclasses.replace(growing(burst=0), values=level)
    for name in ("memory_total", "memory"):
        scorer = scorer_of()
        scorer.use_rules([], {name: GAUGE})
        found = values(scorer.score(samples, 1, {1: {"__name__": name}}).findings, burst=700)
        assert (found[0].series_kind, found[0].value > 400) == (SeriesKind.GAUGE, True)
        assert found[0].series_kind_source is SeriesKindSource.METADATA


def test_rule_outdoes_the_sender_and_the_sender_the_name() -> None:
    def source(*rules: Rule, types: dict[str, MetricType], name: str) -> SeriesKindSource:
        scorer = scorer_of()
        scorer.use_rules(rules, types)
        found = values(scorer.score(growing(burst=700), 1, {1: {"__name__": name}}).findings)
        return found[-1].series_kind_source

    rule = saying(SeriesKind.COUNTER)
    assert source(rule, types=JOBS, name="jobs_done") is SeriesKindSource.RULE
    both = {"jobs_done_total": COUNTER}
    assert source(types=both, name="jobs_done_total") is SeriesKindSource.METADATA
    assert source(types={}, name="jobs_done_total") is SeriesKindSource.NAME
    assert source(types={}, name="jobs_done") is SeriesKindSource.VALUES


def test_new_word_starts_its_series_over_and_no_other() -> None:
    scorer = scorer_of()
    both = {1: NAMED_GAUGE, 2: {"__name__": "other"}}
    whole = growing(burst=895)
    scorer.score(whole, 1, both)
    scorer.score(dataclasses.replace(whole, series_ids=whole.series_ids + 1), 2, both)
    assert scorer.warm_series_count == 2
    scorer.use_rules([], {"jobs_done": GAUGE})
    assert scorer.warm_series_count == 1
    (end,) = scorer.changes([], with_training_rows=False).ends
    assert (end.series_id, end.kind, end.reason) == (1, Kind.VALUE, EndReason.FORGOTTEN)
    scorer.use_rules([], {"jobs_done": GAUGE, "else": COUNTER})
    assert scorer.warm_series_count == 1


def test_counter_by_its_sender_keeps_its_state_when_its_shard_moves() -> None:
    scorer, stored = scorer_of(), dict[int, StoredSeries]()
    scorer.use_rules([], JOBS)
    scorer.score(growing(burst=2000, count=700), 1, {1: NAMED_GAUGE})
    checkpoint = reopened(stored, scorer.changes([], with_training_rows=False))
    moved = ShardScorer(checkpoint, SETTINGS)
    moved.use_rules([], JOBS)
    assert moved.warm_series_count == 1
    assert moved.changes([], with_training_rows=False).ends == []


async def test_feed_asks_for_what_changed_and_keeps_what_it_knows() -> None:
    told = Told()
    feed = MetricTypeFeed(told)
    await feed.refresh()
    told.said = Said({"a": COUNTER, "b": GAUGE}, 10 * MINUTE_MS)
    await feed.refresh()
    known = feed.types()
    told.said = Said({}, 9 * MINUTE_MS)
    await feed.refresh()
    assert feed.types() is known
    told.said = Said({"b": MetricType.UNKNOWN}, 11 * MINUTE_MS)
    await feed.refresh()
    await feed.refresh()
    assert feed.types() == {"a": COUNTER, "b": MetricType.UNKNOWN}
    since_ms = 10 * MINUTE_MS - OVERLAP_MS
    assert told.since_ms == [None, None, since_ms, since_ms, since_ms + MINUTE_MS]


async def test_senders_who_contradict_each_other_are_not_believed() -> None:
    """Else the series of both would start over whenever the other one speaks."""
    told = Told()
    feed, seen = MetricTypeFeed(told), list[MetricType]()
    for n in range(12):
        told.said = Said({"a": (COUNTER, GAUGE)[n % 2]}, n)
        await feed.refresh()
        seen.append(feed.types()["a"])
    assert seen == [COUNTER, GAUGE, COUNTER] + [MetricType.UNKNOWN] * 9
    assert seen.count(COUNTER) + seen.count(GAUGE) == CONTRADICTIONS


async def test_client_reads_all_pages_and_ingest_that_is_away_is_unavailable(
    ingest: ScriptedIngest, detector: RunningDetector
) -> None:
    ingest.metadata = [
        ingest_pb.MetricMetadata(metric=f"m{n}", type=n, update_time=Timestamp(seconds=n))
        for n in range(10)
    ]
    await detector.start(workers=[])
    said = await detector.parts.metadata.changed(None)
    assert said.types == {f"m{n}": MetricType(n if n < 8 else 0) for n in range(10)}
    assert said.newest_ms == 9000
    await detector.parts.metadata.changed(5000)
    assert ingest.asked_since == [None, Timestamp(seconds=5)]
    ingest.metadata_refusals.append(grpc.StatusCode.PERMISSION_DENIED)
    with pytest.raises(Unavailable):
        await detector.parts.metadata.changed(None)


@pytest.fixture
async def real_ingest(migrated_dsn: str, redis_url: str, keys: Path) -> AsyncIterator[Running]:
    """The real service in this process."""
    async with running(config(migrated_dsn, redis_url, keys), keys) as served:
        yield served


@pytest.fixture
async def real_detector(
    real_ingest: Running, migrated_dsn: str, keys: Path
) -> AsyncIterator[RunningDetector]:
    """A detector of the real ingest that is not started yet."""
    async with AsyncExitStack() as stack:
        made = RunningDetector(migrated_dsn, f"127.0.0.1:{real_ingest.port}", keys)
        stack.push_async_callback(made.stop)
        yield made


Points = list[tuple[int, float]]


async def by_remote_write_1(ingest: Running, points: Points) -> None:
    """Metadata beside the samples, as Prometheus sends it from time to time."""
    body = messages.WriteRequest()
    series = body.timeseries.add()
    series.labels.add(name="__name__", value="jobs_done")
    for time_ms, value in points:
        series.samples.add(timestamp=time_ms, value=value)
    body.metadata.add(type=int(COUNTER), metric_family_name="jobs_done")
    await write(ingest, ingest_pb.REMOTE_WRITE_PROTOCOL_V1, body.SerializeToString(), points)


async def by_remote_write_2(ingest: Running, points: Points) -> None:
    """Metadata with every series."""
    body = messages.Request(symbols=["", "__name__", "jobs_done"])
    series = body.timeseries.add(labels_refs=[1, 2])
    for time_ms, value in points:
        series.samples.add(timestamp=time_ms, value=value)
    series.metadata.type = int(COUNTER)
    await write(ingest, ingest_pb.REMOTE_WRITE_PROTOCOL_V2, body.SerializeToString(), points)


async def by_otlp(ingest: Running, points: Points) -> None:
    """A sum that is monotonic."""
    request = otlp_pb.ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="jobs_done")
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
    for time_ms, value in points:
        metric.sum.data_points.add(time_unix_nano=time_ms * 10**6, as_double=value)
    answer = await otlp_grpc.MetricsServiceStub(ingest.channel).Export(request)
    assert not answer.HasField("partial_success")


async def write(ingest: Running, protocol: int, body: bytes, points: Points) -> None:
    request = ingest_pb.RemoteWriteRequest(protocol=protocol, body=body)
    assert (await ingest.stub.RemoteWrite(request)).samples == len(points)


@pytest.mark.usefixtures("active_model")
@pytest.mark.parametrize("send", [by_remote_write_1, by_remote_write_2, by_otlp])
async def test_type_that_a_sender_tells_reaches_the_anomaly(
    real_ingest: Running,
    real_detector: RunningDetector,
    send: Callable[[Running, Points], Awaitable[None]],
) -> None:
    """The burst comes before thirty growths could have told that it is a counter."""
    end_ms = time.time_ns() // 1_000_000 - MINUTE_MS
    samples = growing(burst=25, count=60)
    times_ms = samples.timestamps_ms - samples.timestamps_ms[-1] + end_ms
    points = list(zip(times_ms.tolist(), samples.values.tolist(), strict=True))
    await real_detector.start()
    await send(real_ingest, points[:1])
    await eventually(lambda: COUNTER in real_detector.parts.types.types().values())
    await send(real_ingest, points[1:])

    async def burst() -> list[detector_pb.Anomaly]:
        return [each for each in await real_detector.anomalies() if each.value > 20]

    async def is_told() -> bool:
        return bool(await burst())

    await eventually(is_told)
    assert {each.series_kind for each in await real_detector.anomalies()} == {COUNTER_KIND}
    (*_, first) = await burst()
    async with real_detector.client() as stub:
        found = await stub.GetAnomaly(detector_pb.GetAnomalyRequest(anomaly_id=first.anomaly_id))
        ask = detector_pb.GetExpectedRangeRequest(series_id=first.series_id)
        ask.start_time.FromMilliseconds(points[0][0])
        expected = await stub.GetExpectedRange(ask)
    assert found.anomaly.series_kind == COUNTER_KIND
    assert found.anomaly.series_kind_source == detector_pb.SERIES_KIND_SOURCE_METADATA
    assert found.anomaly.value < 60, "per second: 400 in 10 s"
    assert expected.is_counter
