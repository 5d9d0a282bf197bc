"""What a shard finds follows from the log alone, whoever held it, and whenever he was killed."""

import dataclasses
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from services.detector.model.anomalies import EpisodeEnd, Finding, Kind
from services.detector.model.checkpoints import Changes, Checkpoint, Episode, StoredSeries, Watched
from services.detector.model.models import ActiveModel
from services.detector.model.rules import Comparison, Rule
from services.detector.model.samples import Samples
from services.detector.shards.scoring import ShardScorer
from services.detector.shards.watch import Watch
from tests.detector.signals import SETTINGS, START_MS, forest, labels_of
from tests.properties import examples

F64 = npt.NDArray[np.float64]

SERIES = 12
TICKS, TICK_MS = 240, 10_000
LABELS = {n: dict(labels_of(n)) | {"job": f"job-{n % 5 // 4}"} for n in range(1, SERIES + 1)}
LABELS[2]["__name__"] = "made_total"
RULES = [
    Rule(
        rule_id="rule",
        name="high",
        selector='{__name__="made"}',
        comparison=Comparison.ABOVE,
        warning=30.0,
        critical=60.0,
        hysteresis=5.0,
        hold_ms=3 * TICK_MS,
    )
]


class Beat(NamedTuple):
    """A heartbeat at a time when nothing waits."""

    now_ms: int


Event = Samples | Beat


class Table:
    """What the store keeps: commits whole, or not at all."""

    def __init__(self) -> None:
        self.series: dict[int, StoredSeries] = {}
        self.episodes: dict[tuple[str, int], Episode] = {}
        self.findings: dict[str, Finding] = {}
        self.ends: list[EpisodeEnd] = []
        self.cursor = 0
        self.watched: Watched | None = None

    def commit(self, changes: Changes) -> None:
        assert changes.from_cursor == self.cursor
        for new in changes.new_series:
            self.series[new.row_number] = StoredSeries(
                row_number=new.row_number,
                series_id=new.series_id,
                labels=new.labels,
                state=None,
                warm=False,
            )
        for row, state, warm in zip(changes.row_numbers, changes.states, changes.warm, strict=True):
            self.series[row] = dataclasses.replace(self.series[row], state=state, warm=warm)
        for key in changes.ended_episodes:
            self.episodes.pop(key, None)
        self.episodes |= {(each.source, each.series_id): each for each in changes.episodes}
        for each in changes.findings:
            assert each.anomaly_id not in self.findings, "announced twice"
            self.findings[each.anomaly_id] = each
        self.ends += changes.ends
        self.cursor, self.watched = changes.to_cursor, changes.watched

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(
            shard=0,
            epoch=1,
            cursor=self.cursor,
            series=[self.series[row] for row in sorted(self.series)],
            episodes=list(self.episodes.values()),
            watched=self.watched,
        )


class Holder:
    """Does what `ShardWorker` does with the events after the checkpoint."""

    def __init__(self, table: Table) -> None:
        checkpoint = table.checkpoint()
        self.table, self.findings, self.ends = table, list[Finding](), list[EpisodeEnd]()
        self.scorer = ShardScorer(checkpoint, SETTINGS)
        self.scorer.use_model(ActiveModel(version=3, forest=forest()))
        self.scorer.use_rules(RULES)
        self.watch = Watch(checkpoint.watched)

    def take(self, event: Event, cursor: int) -> None:
        if isinstance(event, Beat):
            self.watch.beat(event.now_ms, 0)
            found, ends = self.scorer.sweep(self.watch.until_ms, self.watch.since_ms)
            self.findings, self.ends = [*self.findings, *found], [*self.ends, *ends]
        else:
            self.watch.scored(int(event.arrivals_ms()[0]))
            outcome = self.scorer.score(event, cursor, LABELS, self.watch.since_ms)
            self.findings += outcome.findings
            self.ends += outcome.ends

    def checkpoint(self) -> None:
        changes = self.scorer.changes(
            self.findings, self.ends, with_training_rows=False, watched=self.watch.so_far
        )
        self.table.commit(changes)
        self.scorer.committed()
        self.findings, self.ends = [], []


def log(seed: int) -> list[Event]:
    """Series with spikes, levels beyond a threshold, outages of one or of all, and portions.

    The second is a counter that begins again while it is out.
    """
    random = np.random.default_rng(seed)
    values = random.normal(10.0, 1.0, (TICKS, SERIES))
    values[random.integers(30, TICKS, 8), random.integers(0, SERIES, 8)] += 70.0
    start = random.integers(40, 180)
    values[start : start + 20, 2] += 35.0
    sends = np.ones((TICKS, SERIES), dtype=np.bool_)
    for _ in range(12):
        first, length = random.integers(40, 200), random.integers(3, 60)
        sends[first : first + length, random.integers(0, SERIES)] = False
    values[:, 1] = np.cumsum(values[:, 1])
    sends[100:140, 1] = False
    values[120:, 1] -= values[120, 1]
    if seed % 2 == 0:
        sends[150 : 150 + random.integers(3, 40), : SERIES - 2] = False
    waiting, events = list[int](), list[Event]()
    for tick in range(TICKS):
        now_ms = START_MS + tick * TICK_MS
        ids = [n for n in range(1, SERIES) if sends[tick, n - 1]]
        rows = [(n, tick) for n in ids]
        waiting.append(tick)
        if tick % 12 == 11:
            rows += [(SERIES, each) for each in waiting if sends[each, SERIES - 1]]
            waiting.clear()
        if rows:
            events.append(_delivery(rows, values, now_ms + 500))
        events.append(Beat(now_ms + 5_000))
    return events


def _delivery(rows: Sequence[tuple[int, int]], values: F64, now_ms: int) -> Samples:
    return Samples(
        series_ids=np.array([n for n, _ in rows], dtype=np.int64),
        timestamps_ms=np.array([START_MS + tick * TICK_MS for _, tick in rows], dtype=np.int64),
        values=np.array([values[tick, n - 1] for n, tick in rows]),
        arrived_ms=np.full(len(rows), now_ms, dtype=np.int64),
    )


def held(events: Sequence[Event], killed: Callable[[int], bool], every: int) -> Table:
    """The whole log; a holder that is killed loses what he did since his checkpoint.

    His successor takes the samples again, in one batch; heartbeats are gone for good.
    """
    table = Table()
    holder, lost_since = Holder(table), 0
    for at, event in enumerate(events):
        holder.take(event, at + 1)
        if holder.findings or holder.watch.unstored or at % every == 0:
            if killed(at):
                holder = Holder(table)
                lost = [each for each in events[lost_since : at + 1] if isinstance(each, Samples)]
                if lost:
                    holder.take(Samples.concatenate(lost), at + 1)
            else:
                holder.checkpoint()
                lost_since = at + 1
    holder.checkpoint()
    return table


@examples(10)
@given(
    seed=st.integers(0, 40),
    lives=st.lists(st.integers(5, 99), max_size=40),
    every=st.integers(1, 12),
)
def test_kill_at_any_moment_changes_no_anomaly(seed: int, lives: list[int], every: int) -> None:
    """Just before a commit is the worst moment: everything since the last one is lost."""
    events, kills = log(seed), set(accumulate(lives))
    undisturbed = held(events, lambda _: False, every=3)
    disturbed = held(events, kills.__contains__, every=every)
    assert sorted(disturbed.findings) == sorted(undisturbed.findings)
    announced = [disturbed.findings[each] for each in sorted(undisturbed.findings)]
    assert announced == [undisturbed.findings[each] for each in sorted(undisturbed.findings)]
    assert in_order(disturbed.ends) == in_order(undisturbed.ends)


def in_order(ends: list[EpisodeEnd]) -> list[EpisodeEnd]:
    return sorted(ends, key=lambda each: (each.end_ms, each.series_id, each.kind, each.source))


def test_made_logs_hold_every_kind_of_anomaly_and_of_end() -> None:
    table = held(log(0), lambda _: False, every=3)
    assert {each.kind for each in table.findings.values()} == set(Kind)
    assert {each.kind for each in table.ends} == set(Kind)
