"""Minutes: sums whatever the order, closed by the clock of the log, alike after any replay."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.topology.minutes.minutes import Minutes
from services.topology.minutes.packing import packed, unpacked
from services.topology.minutes.sketch import CELLS, cells_of, quantile_s
from services.topology.minutes.sums import summed
from services.topology.minutes.table import COUNTS, MOST_SHAPES, MinuteTable
from services.topology.model.events import LINES, SERVER
from services.topology.traces.pending import Pending
from services.topology.traces.settle import settle
from services.topology.traces.shapes import OTHER_CALLS, OTHER_SHAPE
from tests.properties import examples
from tests.topology.events import NOW_NS, record, rows, span

NOW_S = NOW_NS // 10**9
MINUTE = NOW_S // 60


def told(table: MinuteTable) -> Any:
    """All that a minute says."""
    assert packed(unpacked(packed(table))) == packed(table)
    edges = {
        key: (counts.tolist(), sketches.tolist())
        for key, (counts, sketches) in table.edges.named().items()
    }
    return edges, packed(table)


def counts(table: MinuteTable) -> dict[int, dict[str, int]]:
    """The sums of each edge by its operation."""
    return {
        key[1]: dict(zip(COUNTS, sums.tolist(), strict=True))
        for key, (sums, _) in table.edges.named().items()
    }


def test_calls_add_up_by_edge_in_the_minute_in_which_they_ended() -> None:
    minutes = Minutes()
    for trace in range(5):
        minutes.add(settle(rows(span(1, trace_lo=trace + 1, operation=7, status=2))), NOW_S)
    next_minute_ms = 65_000
    minutes.add(settle(rows(span(1, operation=7, start_ms=next_minute_ms))), NOW_S)
    assert sorted(minutes.open) == [MINUTE, MINUTE + 1]
    found = counts(minutes.open[MINUTE])[7]
    assert (found["spans"], found["errors"], found["origins"], found["roots"]) == (5, 5, 5, 5)
    assert (found["weight"], found["duration_ns"]) == (5 * 1024, 50_000_000)


def test_a_sampled_span_weighs_what_it_stands_for() -> None:
    minutes = Minutes()
    minutes.add(settle(rows(span(1, thinning=16))), NOW_S)
    assert counts(minutes.open[MINUTE])[101]["weight"] == 4 * 1024


def test_late_calls_count_as_late_and_begin_no_errors() -> None:
    minutes = Minutes()
    minutes.add(settle(rows(span(1, 5, status=2))), NOW_S, are_late=True)
    found = counts(minutes.open[MINUTE])[101]
    assert (found["late"], found["orphans"], found["origins"]) == (1, 1, 0)
    assert not minutes.open[MINUTE].origins


def test_a_minute_is_final_by_the_clock_of_the_log_and_stays_so() -> None:
    minutes = Minutes(final_after_s=40)
    minutes.add(settle(rows(span(1))), NOW_S)
    end_s = 60 * (MINUTE + 1)
    assert not minutes.close(end_s + 39)
    assert [*minutes.close(end_s + 40)] == [MINUTE]
    minutes.add(settle(rows(span(1))), end_s + 41)
    assert [*minutes.open] == [MINUTE + 1]


def test_events_of_long_ago_are_lost_and_said_to_be() -> None:
    minutes = Minutes()
    minutes.add(settle(rows(span(1), span(2, start_ns=1, end_ns=2))), NOW_S)
    assert [*minutes.open] == [MINUTE]
    assert minutes.open[MINUTE].lost == 1


def test_lines_are_counted_by_pattern() -> None:
    minutes = Minutes()
    counted = record(0, 9, kind=LINES, end_ns=12, parent=5)
    minutes.add_lines(rows(counted, counted, record(3, 17, parent=6), span(1)), NOW_S)
    table = minutes.open[MINUTE]
    assert table.patterns == {(0, 5, 9): 24, (0, 6, 17): 1}
    assert table.records == 1


def test_lines_that_come_together_count_in_the_minute_of_each() -> None:
    minutes = Minutes()
    early = [record(0, 9, kind=LINES, end_ns=12), record(3, 17, parent=6)]
    late = [each | {"start_ns": NOW_NS + 60_000_000_000} for each in early]
    minutes.add_lines(rows(*early, *late, *late), NOW_S + 60)
    found = {minute: table.patterns for minute, table in minutes.open.items()}
    counted = {(0, 77, 9): 12, (0, 6, 17): 1}
    assert found == {MINUTE: counted, MINUTE + 1: {key: 2 * n for key, n in counted.items()}}
    assert [minutes.open[MINUTE + each].records for each in (0, 1)] == [1, 2]


def test_of_shapes_beyond_the_most_what_is_called_several_times_is_kept() -> None:
    """Whatever the other calls are; in minutes that are added up too."""
    minute, loops = MinuteTable(), 0
    for number in range(10, 10 + 4 * MOST_SHAPES):
        once, often = (number, 0, 1), (8, 0, 4)
        loops += number % 2
        minute.add_shape(7, number, 1, (once, often) if number % 2 else (once,))
    both = summed([minute, unpacked(packed(minute))])
    for table, times in ((minute, 1), (both, 2)):
        calls = {number: table.shape_calls[number] for _, number in table.shapes}
        assert sum(table.shapes.values()) == times * 4 * MOST_SHAPES
        assert len(table.shapes) == MOST_SHAPES + 2
        looped = [number for number, made in calls.items() if (8, 0, 4) in made]
        assert sum(table.shapes[7, number] for number in looped) == times * loops


def test_a_bomb_of_shapes_is_bounded_and_counted() -> None:
    minute = MinuteTable()
    for number in range(10, 10 + 10 * MOST_SHAPES):
        minute.add_shape(7, number, 1, ((number, 0, 4),))
    assert sum(minute.shapes.values()) == 10 * MOST_SHAPES
    assert len(minute.shapes) == 2 * MOST_SHAPES + 1
    assert minute.shape_calls[OTHER_SHAPE] == OTHER_CALLS


@pytest.mark.parametrize("seconds", [0.00005, 0.001, 0.02, 1.0, 30.0])
def test_a_quantile_is_true_within_eight_percent(seconds: float) -> None:
    cells = cells_of(np.full(100, int(seconds * 1e9)))
    found = quantile_s(np.bincount(cells, minlength=CELLS), 0.95)
    assert found == pytest.approx(seconds, rel=0.08)


def test_extremes_of_durations_have_a_cell() -> None:
    assert cells_of(np.array([0, 1, 2**62])).tolist() == [0, 0, CELLS - 1]


@examples(80)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), max_size=20), st.randoms())
def test_the_order_in_which_traces_settle_does_not_matter(traces: Any, random: Any) -> None:
    def table(order: Any) -> Any:
        minutes = Minutes()
        for operation, trace in order:
            minutes.add(settle(rows(span(1, trace_lo=trace + 1, operation=operation))), NOW_S)
        return {minute: told(found) for minute, found in minutes.open.items()}

    mixed = [*traces]
    random.shuffle(mixed)
    assert table(traces) == table(mixed)


class Shard:
    """One shard as a consumer of its log works through it."""

    def __init__(self, state: Any = None) -> None:
        self.pending, self.minutes, self.now_s = Pending(), Minutes(), 0
        if state is not None:
            self.pending.restore(state)

    def take(self, second: int, events: Any) -> None:
        """Events of one second, or a part of them."""
        if second > self.now_s:
            self.now_s = second
            settled, late = self.pending.settle(second)
            self.minutes.add(settle(settled), second)
            self.minutes.add(settle(late), second, are_late=True)
        self.pending.add(events, second)


@st.composite
def logs_of_a_shard(draw: st.DrawFn) -> list[tuple[int, Any]]:
    """Seconds of a log with spans of few traces, some of which come late."""
    made, second = [], NOW_S
    for _ in range(draw(st.integers(1, 25))):
        second += draw(st.sampled_from([0, 1, 1, 5, 12, 70]))
        spans = draw(
            st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9)), min_size=1, max_size=4)
        )
        made.append(
            (second, rows(*(span(number, trace_lo=trace, kind=SERVER) for trace, number in spans)))
        )
    return [*made, (second + 100, rows())]


def pieces(log: list[tuple[int, Any]], cut: Any) -> list[tuple[int, Any]]:
    """The same log in other deliveries: what is of one second may come apart."""
    made = []
    for second, events in log:
        at = cut.randint(0, len(events))
        made += [(second, events[:at]), (second, events[at:])]
    return made


@examples(120)
@given(logs_of_a_shard(), st.randoms())
def test_however_deliveries_are_cut_the_minutes_are_the_same(log: Any, cut: Any) -> None:
    one, other = Shard(), Shard()
    for second, events in log:
        one.take(second, events)
    for second, events in pieces(log, cut):
        other.take(second, events)
    assert len(one.pending) == len(other.pending) == 0
    first = {minute: told(table) for minute, table in one.minutes.open.items()}
    assert first == {minute: told(table) for minute, table in other.minutes.open.items()}


@examples(120)
@given(logs_of_a_shard(), st.integers(0, 25))
def test_a_shard_goes_on_from_its_state_as_if_it_had_not_stopped(log: Any, stop: int) -> None:
    whole, before = Shard(), Shard()
    for second, events in log:
        whole.take(second, events)
    for second, events in log[:stop]:
        before.take(second, events)
    after = Shard(before.pending.state())
    after.minutes, after.now_s = before.minutes, before.now_s
    for second, events in log[stop:]:
        after.take(second, events)
    first = {minute: told(table) for minute, table in whole.minutes.open.items()}
    assert first == {minute: told(table) for minute, table in after.minutes.open.items()}
