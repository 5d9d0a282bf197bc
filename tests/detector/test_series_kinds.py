"""What a series is: recognised, shown with its anomalies, corrected by a rule."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.model.anomalies import EndReason, Finding, Kind
from services.detector.model.checkpoints import Checkpoint, StoredSeries
from services.detector.model.models import ActiveModel
from services.detector.model.rules import Rule
from services.detector.model.samples import Samples, SeriesKind
from services.detector.shards.scoring import ShardScorer
from tests.detector.running import ADMIN, RunningDetector
from tests.detector.signals import SETTINGS, START_MS, forest
from tests.detector.test_scoring import reopened

STEP_MS = 10_000
NAMED_COUNTER = {"__name__": "jobs_done_total"}
NAMED_GAUGE = {"__name__": "jobs_done"}


def saying(kind: SeriesKind, **terms: object) -> Rule:
    """A rule that says what the series are."""
    rule = Rule(
        rule_id="k",
        name="jobs",
        selector='{__name__=~"jobs_done.*"}',
        comparison=0,
        warning=None,
        critical=None,
        series_kind=kind,
    )
    return dataclasses.replace(rule, **terms)


def scorer_of(*rules: Rule, checkpoint: Checkpoint | None = None) -> ShardScorer:
    scorer = ShardScorer(checkpoint or Checkpoint(shard=0, epoch=1), SETTINGS)
    scorer.use_model(ActiveModel(version=1, forest=forest()))
    scorer.use_rules(list(rules))
    return scorer


def growing(burst: int, count: int = 900, first: int = 0) -> Samples:
    """A total that grows by about 50 a step, and eight times as fast for ten steps from `burst`."""
    random = np.random.default_rng(7)
    growth = 50 + random.normal(0, 3, first + count)
    growth[burst : burst + 10] *= 8
    return Samples(
        series_ids=np.ones(count, np.int64),
        timestamps_ms=START_MS + np.arange(first, first + count) * STEP_MS,
        values=np.cumsum(growth)[first:],
    )


def values(found: Sequence[Finding], burst: int = 0) -> list[Finding]:
    """The anomalies of the value from a burst on; the engine of these tests has no budget."""
    since_ms = START_MS + burst * STEP_MS
    return [each for each in found if each.kind is Kind.VALUE and each.event_ms >= since_ms]


@pytest.mark.parametrize(
    ("labels", "rules"),
    [(NAMED_COUNTER, []), (NAMED_GAUGE, []), (NAMED_GAUGE, [saying(SeriesKind.COUNTER)])],
    ids=["by its name", "by its values", "by a rule"],
)
def test_anomaly_of_a_counter_says_so_and_how_fast_it_grew(
    labels: dict[str, str], rules: list[Rule]
) -> None:
    outcome = scorer_of(*rules).score(growing(burst=700), 1, {1: labels})
    found = values(outcome.findings, burst=700)
    assert found[0].series_kind is SeriesKind.COUNTER
    assert 20 < found[0].value < 60, "per second: 400 in 10 s"


def test_gauge_by_a_rule_is_scored_by_its_values_though_named_like_a_counter() -> None:
    scorer, random = scorer_of(saying(SeriesKind.GAUGE)), np.random.default_rng(3)
    level = 50 + random.normal(0, 3, 900)
    level[700:] += 200
    samples = dataclasses.replace(growing(burst=0), values=level)
    (found, *_) = values(scorer.score(samples, 1, {1: NAMED_COUNTER}).findings, burst=700)
    assert (found.series_kind, found.value > 200) == (SeriesKind.GAUGE, True)


def test_first_rule_by_name_counts() -> None:
    rules = [saying(SeriesKind.COUNTER, name="a"), saying(SeriesKind.GAUGE, name="b")]
    found = values(scorer_of(*rules).score(growing(burst=700), 1, {1: NAMED_GAUGE}).findings)
    assert found[0].series_kind is SeriesKind.COUNTER


def test_series_of_another_kind_starts_over_and_what_was_abnormal_is_over() -> None:
    scorer = scorer_of()
    assert values(scorer.score(growing(burst=895), 1, {1: NAMED_COUNTER}).findings)
    assert scorer.warm_series_count == 1
    scorer.use_rules([saying(SeriesKind.GAUGE)])
    assert scorer.warm_series_count == 0
    (end,) = scorer.changes([], with_training_rows=False).ends
    assert (end.series_id, end.kind, end.reason) == (1, Kind.VALUE, EndReason.FORGOTTEN)
    assert end.end_ms == START_MS + 899 * STEP_MS


def test_corrected_series_keeps_its_state_when_its_shard_moves() -> None:
    rule, stored = saying(SeriesKind.COUNTER), dict[int, StoredSeries]()
    scorer = scorer_of(rule)
    scorer.score(growing(burst=2000, count=700), 1, {1: NAMED_GAUGE})
    checkpoint = reopened(stored, scorer.changes([], with_training_rows=False))
    moved = scorer_of(rule, checkpoint=checkpoint)
    assert moved.warm_series_count == 1
    assert moved.changes([], with_training_rows=False).ends == []
    found = values(moved.score(growing(burst=800, count=200, first=700), 2, {}).findings)
    assert found[0].series_kind is SeriesKind.COUNTER


def test_series_starts_over_when_the_rule_is_gone() -> None:
    scorer = scorer_of(saying(SeriesKind.COUNTER))
    scorer.score(growing(burst=2000), 1, {1: NAMED_GAUGE})
    scorer.use_rules([])
    assert scorer.warm_series_count == 0


def test_rule_may_say_the_kind_and_watch_a_threshold() -> None:
    rule = saying(SeriesKind.COUNTER, comparison=1, warning=1000.0)
    found = scorer_of(rule).score(growing(burst=2000, count=50), 1, {1: NAMED_GAUGE}).findings
    (threshold,) = (each for each in found if each.kind is Kind.THRESHOLD)
    assert threshold.series_kind is SeriesKind.UNKNOWN


async def test_rule_that_says_the_kind_alone_is_stored_and_listed(
    detector: RunningDetector,
) -> None:
    await detector.start([])
    rule = detector_pb.Rule(
        name="jobs", selector="jobs_done", series_kind=detector_pb.SERIES_KIND_COUNTER
    )
    async with detector.client(ADMIN) as stub:
        made = await stub.CreateRule(detector_pb.CreateRuleRequest(rule=rule), wait_for_ready=True)
        listed = await stub.ListRules(detector_pb.ListRulesRequest())
    assert made.rule in listed.rules
    assert made.rule.series_kind == detector_pb.SERIES_KIND_COUNTER
    assert not made.rule.HasField("warning")
