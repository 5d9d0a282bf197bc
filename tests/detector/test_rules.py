"""Threshold rules: what they announce, how they are changed, and that nobody restarts for it."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st

from mesh import selector
from mesh.errors import from_rpc_error
from sensus.core.v1 import series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.agent.machine import Machine
from services.detector.model.anomalies import EndReason, Finding, Kind, Severity
from services.detector.model.checkpoints import Checkpoint, Episode, StoredSeries
from services.detector.model.rules import Rule
from services.detector.model.samples import Samples
from services.detector.shards.scoring import ShardScorer
from services.detector.store import RuleStore
from tests.detector.running import ADMIN, RunningDetector, eventually
from tests.detector.scripted_ingest import ScriptedIngest
from tests.detector.signals import SETTINGS, START_MS, delivery, labels_of, part
from tests.detector.test_scoring import reopened
from tests.properties import examples

if TYPE_CHECKING:
    from mesh.postgres import Pool

FRESH = 6
"""Rules of a fresh installation."""
RULE = Rule(
    rule_id="r", name="made high", selector="made", comparison=1,
    warning=80.0, critical=95.0, hysteresis=5.0,
)  # fmt: skip
BELOW = dataclasses.replace(RULE, rule_id="b", name="low", comparison=2, warning=20.0, critical=5.0)


def series_of(values: list[float], series_id: int = 1) -> Samples:
    """One sample a second."""
    return Samples(
        series_ids=np.full(len(values), series_id, dtype=np.int64),
        timestamps_ms=START_MS + np.arange(len(values), dtype=np.int64) * 1000,
        values=np.array(values, dtype=np.float64),
    )


def scorer_of(*rules: Rule, checkpoint: Checkpoint | None = None) -> ShardScorer:
    scorer = ShardScorer(checkpoint or Checkpoint(shard=0, epoch=1), SETTINGS)
    scorer.use_rules(list(rules))
    return scorer


def announced(values: list[float], *rules: Rule) -> list[tuple[int, str]]:
    """Place of the sample and severity of all that is announced."""
    findings = scorer_of(*rules).score(series_of(values), 1, {1: labels_of(1)}).findings
    return [((each.event_ms - START_MS) // 1000, each.severity.name) for each in findings]


@pytest.mark.parametrize(
    ("values", "rule", "expected"),
    [
        ([79.9, 80.0, 85.0], RULE, [(1, "WARNING")]),
        ([80.0, 96.0, 97.0], RULE, [(0, "WARNING"), (1, "CRITICAL")]),
        ([99.0, 85.0, 99.0], RULE, [(0, "CRITICAL")]),
        ([80.0, 76.0, 80.0, 74.9, 80.0], RULE, [(0, "WARNING"), (4, "WARNING")]),
        ([80.0, math.nan, math.inf, 70.0], RULE, [(0, "WARNING")]),
        ([20.0, 4.0, 26.0, 20.0], BELOW, [(0, "WARNING"), (1, "CRITICAL"), (3, "WARNING")]),
        ([94.0, 95.0], dataclasses.replace(RULE, warning=None), [(1, "CRITICAL")]),
        ([94.0, 99.0], dataclasses.replace(RULE, critical=None), [(0, "WARNING")]),
        ([1e308, -1e308, 1e308], RULE, [(0, "CRITICAL"), (2, "CRITICAL")]),
    ],
)
def test_rule_speaks_once_per_episode_and_once_more_when_it_worsens(
    values: list[float], rule: Rule, expected: list[tuple[int, str]]
) -> None:
    assert announced(values, rule) == expected


def test_time_in_which_the_series_was_silent_does_not_count_as_held() -> None:
    rule = dataclasses.replace(RULE, hold_ms=60_000)
    scorer, (early, late) = scorer_of(rule), (series_of([90.0]), series_of([90.0, 90.0]))
    assert scorer.score(early, 1, {1: labels_of(1)}).findings == []
    after = dataclasses.replace(late, timestamps_ms=late.timestamps_ms + 7_200_000)
    assert [each.kind for each in scorer.score(after, 2, {}, 2**62).findings] == []
    held = dataclasses.replace(early, timestamps_ms=after.timestamps_ms[:1] + 60_000)
    assert len(scorer.score(held, 3, {}, 2**62).findings) == 1


def test_value_must_stay_beyond_the_threshold_for_the_hold_time() -> None:
    patient = dataclasses.replace(RULE, hold_ms=2000)
    assert announced([80, 80, 79, 80, 80, 80], patient) == [(5, "WARNING")]
    assert announced([99, 99, 99], patient) == [(2, "CRITICAL")]


def test_anomaly_names_the_rule_and_expects_everything_up_to_the_threshold() -> None:
    (found,) = scorer_of(RULE).score(series_of([90.0]), 1, {1: labels_of(1)}).findings
    assert found.kind is Kind.THRESHOLD
    assert found.severity is Severity.WARNING
    assert (found.expected_low, found.expected_high) == (-math.inf, 80.0)
    assert [(p.feature, p.value) for p in found.contributions] == [("rule:made high", 80.0)]
    assert (found.raw_score, found.alert_score, found.model_version) == (0.0, 0.8, 0)


def test_episode_ends_with_the_sample_that_is_back_within_or_when_its_rule_is_gone() -> None:
    scorer = scorer_of(RULE)
    values = [90.0, 76.0, 74.0, 90.0]
    (end,) = scorer.score(series_of(values), 1, {1: labels_of(1)}).ends
    assert (end.kind, end.source, end.end_ms) == (Kind.THRESHOLD, "r", START_MS + 2000)
    scorer.use_rules([])
    (gone,) = scorer.sweep(START_MS + 9000, 2**62)[1]
    assert (gone.source, gone.end_ms, gone.reason) == ("r", START_MS + 9000, EndReason.RULE_GONE)
    assert scorer.sweep(START_MS + 9000, 2**62)[1] == []


def test_two_rules_on_one_sample_give_two_anomalies() -> None:
    other = dataclasses.replace(RULE, rule_id="other", name="other")
    findings = scorer_of(RULE, other).score(series_of([90.0]), 1, {1: labels_of(1)}).findings
    assert len({each.anomaly_id for each in findings}) == 2


def test_late_and_repeated_samples_end_no_episode() -> None:
    scorer = scorer_of(RULE)
    late = Samples(series_ids=np.array([1] * 4), values=np.array([90.0, 10.0, 10.0, 90.0]),
                   timestamps_ms=START_MS + np.array([5000, 5000, 4000, 6000]))  # fmt: skip
    assert len(scorer.score(late, 1, {1: labels_of(1)}).findings) == 1


def moved(
    scorer: ShardScorer,
    stored: dict[int, StoredSeries],
    episodes: dict[tuple[str, int], Episode],
    rules: Any,
) -> ShardScorer:
    """The shard at its next holder: the episodes are what the store would hold."""
    changes = scorer.changes([], with_training_rows=False)
    for ended in changes.ended_episodes:
        episodes.pop(ended, None)
    for each in changes.episodes:
        episodes[each.source, each.series_id] = each
    checkpoint = reopened(stored, changes)
    return scorer_of(
        *rules, checkpoint=dataclasses.replace(checkpoint, episodes=list(episodes.values()))
    )


@examples(30)
@given(
    values=st.lists(st.sampled_from([70.0, 76.0, 81.0, 96.0]), min_size=1, max_size=40),
    cuts=st.sets(st.integers(1, 39), max_size=6),
    hold_ms=st.sampled_from([0, 2000]),
)
def test_cutting_and_moving_a_shard_changes_no_episode(
    values: list[float], cuts: set[int], hold_ms: int
) -> None:
    rules = [dataclasses.replace(RULE, hold_ms=hold_ms)]
    whole, episodes, found = series_of(values), dict[tuple[str, int], Episode](), list[Finding]()
    scorer, start, stored = scorer_of(*rules), 0, dict[int, StoredSeries]()
    for stop in [*sorted(cut for cut in cuts if cut < len(values)), len(values)]:
        chunk = part(whole, start, stop)
        found.extend(scorer.score(chunk, stop, {1: labels_of(1)}).findings)
        scorer, start = moved(scorer, stored, episodes, rules), stop
    undisturbed = scorer_of(*rules).score(whole, 1, {1: labels_of(1)}).findings
    assert found == list(undisturbed)


def test_changed_terms_apply_to_the_next_sample_and_keep_the_episode() -> None:
    scorer = scorer_of(RULE)
    assert len(scorer.score(series_of([90.0]), 1, {1: labels_of(1)}).findings) == 1
    scorer.use_rules([dataclasses.replace(RULE, critical=85.0)])
    later = dataclasses.replace(series_of([90.0]), timestamps_ms=np.array([START_MS + 1000]))
    (worse,) = scorer.score(later, 2, {}).findings
    assert worse.severity is Severity.CRITICAL


def test_rule_that_is_gone_ends_its_episodes() -> None:
    scorer = scorer_of(RULE)
    scorer.score(series_of([90.0]), 1, {1: labels_of(1)})
    assert len(scorer.changes([], with_training_rows=False).episodes) == 1
    scorer.committed()
    scorer.use_rules([])
    assert scorer.changes([], with_training_rows=False).ended_episodes == [("r", 1)]


async def test_fresh_installation_has_rules_for_cpu_memory_and_disk(pool: "Pool") -> None:
    rules = await RuleStore(pool).all()
    assert [(each.name, each.warning, each.critical) for each in rules] == [
        ("CPU usage", 80.0, 95.0), ("CPU usage (agent)", 0.8, 0.95),
        ("Disk usage", 90.0, 95.0), ("Disk usage (agent)", 0.9, 0.95),
        ("Memory usage", 85.0, 95.0), ("Memory usage (agent)", 0.85, 0.95),
    ]  # fmt: skip


async def test_fresh_installation_watches_what_the_agent_reads_and_no_image(pool: "Pool") -> None:
    """Each share that it sends is under one rule; images, which are always full, under none."""
    rules = [(each.name, selector.parse(each.selector)) for each in await RuleStore(pool).all()]
    shares = {
        (value.name, *value.labels)
        for value in Machine(top_processes=0).read().values
        if value.name in {f"node_{of}_utilization_ratio" for of in ("cpu", "memory", "filesystem")}
    }
    watched = {
        labels[0]: [
            rule for rule, of in rules if of.matches({"__name__": labels[0], **dict(labels[1:])})
        ]
        for labels in shares
    }
    assert watched == {
        "node_cpu_utilization_ratio": ["CPU usage (agent)"],
        "node_memory_utilization_ratio": ["Memory usage (agent)"],
        "node_filesystem_utilization_ratio": ["Disk usage (agent)"],
    }
    image = {"__name__": "node_filesystem_utilization_ratio", "fstype": "squashfs"}
    assert not [rule for rule, of in rules if of.matches(image)]


def a_message(**fields: Any) -> detector_pb.Rule:
    terms = {"name": "made", "selector": "made", "comparison": 1, "warning": 50.0} | fields
    return detector_pb.Rule(**terms)


async def test_rule_is_created_changed_by_mask_and_deleted(detector: RunningDetector) -> None:
    await detector.start([])
    async with detector.client(ADMIN) as stub:
        answer = await stub.CreateRule(
            detector_pb.CreateRuleRequest(rule=a_message(hold_duration=Duration(seconds=30))),
            wait_for_ready=True,
        )
        made = answer.rule
        assert made.enabled
        assert not made.HasField("critical")
        change = detector_pb.UpdateRuleRequest(
            rule_id=made.rule_id,
            rule=detector_pb.Rule(critical=90.0, name="ignored"),
            update_mask=FieldMask(paths=["critical", "hold_duration"]),
        )
        changed = (await stub.UpdateRule(change)).rule
        assert (changed.name, changed.critical, changed.warning) == ("made", 90.0, 50.0)
        assert changed.hold_duration == Duration()
        got = await stub.GetRule(detector_pb.GetRuleRequest(rule_id=made.rule_id))
        assert got.rule == changed
        await stub.DeleteRule(detector_pb.DeleteRuleRequest(rule_id=made.rule_id))
        names = [each.name for each in (await stub.ListRules(detector_pb.ListRulesRequest())).rules]
        assert len(names) == FRESH
        assert "made" not in names


@pytest.mark.parametrize(
    ("fields", "reason", "message"),
    [
        ({"name": ""}, "INVALID_RULE",
         "rule.name must have 1 to 128 characters, none of them 0"),
        ({"selector": ""}, "INVALID_RULE", "rule.selector must have at least one matcher"),
        ({"selector": "{"}, "INVALID_SELECTOR",
         "rule.selector: at character 2 ('the end'): expected a label name"),
        ({"comparison": 0}, "INVALID_RULE",
         "rule.comparison must be RULE_COMPARISON_ABOVE or RULE_COMPARISON_BELOW"),
        ({"warning": None}, "INVALID_RULE",
         "rule.warning or rule.critical or rule.series_kind must be set"),
        ({"series_kind": 7}, "INVALID_RULE",
         "rule.series_kind must be SERIES_KIND_GAUGE or SERIES_KIND_COUNTER"),
        ({"warning": math.nan}, "INVALID_RULE", "rule.warning must be finite"),
        ({"critical": 50.0}, "INVALID_RULE", "rule.critical must lie beyond rule.warning"),
        ({"hysteresis": -1.0}, "INVALID_RULE", "rule.hysteresis must be 0 or more"),
        ({"hold_duration": Duration(seconds=-1)}, "INVALID_RULE",
         "rule.hold_duration must lie between 0 and 24 hours"),
    ],
)  # fmt: skip
async def test_rule_that_means_nothing_is_refused(
    detector: RunningDetector, fields: dict[str, Any], reason: str, message: str
) -> None:
    await detector.start([])
    async with detector.client(ADMIN) as stub:
        request = detector_pb.CreateRuleRequest(rule=a_message(**fields))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.CreateRule(request, wait_for_ready=True)
    error = from_rpc_error(caught.value)
    assert (caught.value.code(), error.reason, error.message) == (
        grpc.StatusCode.INVALID_ARGUMENT, reason, message,
    )  # fmt: skip


async def test_taken_name_unknown_rule_and_unknown_field_are_refused(
    detector: RunningDetector,
) -> None:
    await detector.start([])
    async with detector.client(ADMIN) as stub:
        taken = detector_pb.CreateRuleRequest(rule=a_message(name="CPU usage"))
        unknown = detector_pb.GetRuleRequest(rule_id="no\x00ne")
        field = detector_pb.UpdateRuleRequest(
            rule_id="cpu", update_mask=FieldMask(paths=["rule_id"])
        )
        for call, request, code, reason in (
            (stub.CreateRule, taken, grpc.StatusCode.ALREADY_EXISTS, "RULE_EXISTS"),
            (stub.GetRule, unknown, grpc.StatusCode.NOT_FOUND, "RULE_NOT_FOUND"),
            (stub.UpdateRule, field, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_UPDATE_MASK"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(request, wait_for_ready=True)
            assert (caught.value.code(), from_rpc_error(caught.value).reason) == (code, reason)


async def test_reader_may_read_rules_and_not_change_them(detector: RunningDetector) -> None:
    await detector.start([])
    async with detector.client() as stub:
        await stub.ListRules(detector_pb.ListRulesRequest(), wait_for_ready=True)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.DeleteRule(detector_pb.DeleteRuleRequest(rule_id="cpu"))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_new_rule_works_within_seconds_and_survives_a_move(
    detector: RunningDetector, ingest: ScriptedIngest
) -> None:
    """No restart; the open episode goes with the shard and is not announced again."""
    ingest.log_by_shard[0] = []
    ingest.reassigns = True
    await detector.start()
    async with detector.client(ADMIN) as stub:
        await stub.CreateRule(
            detector_pb.CreateRuleRequest(rule=a_message(warning=40.0)), wait_for_ready=True
        )
    await eventually(lambda: len(detector.parts.rules.rules()) == FRESH + 1)
    await ingest.write(delivery(0, 1, series_of([10.0, 45.0, 46.0])))
    await ingest.until_acked()
    ingest.revoke(ingest.stream, 0)
    await ingest.until(lambda: ingest.epoch_by_shard[0] == 2)
    later = series_of([47.0, 48.0])
    later = dataclasses.replace(later, timestamps_ms=later.timestamps_ms + 10_000)
    await ingest.write(delivery(0, 3, later))
    await ingest.until_acked()
    (found,) = await detector.anomalies()
    assert found.kind == detector_pb.ANOMALY_KIND_THRESHOLD
    assert found.severity == series_pb2.SEVERITY_WARNING
    assert (found.value, found.expected.high) == (45.0, 40.0)
