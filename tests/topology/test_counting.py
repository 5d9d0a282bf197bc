"""A shard by itself: gaps, restarts from bytes, deliveries that are one."""

from dataclasses import replace
from typing import Any

from services.topology.minutes.packing import unpacked
from services.topology.model.checkpoints import Checkpoint
from services.topology.model.deliveries import Delivery, by_second
from services.topology.model.names import Names
from services.topology.shards.counting import ShardCounter
from tests.topology.events import NOW_NS, record, rows, span

NOW_S = NOW_NS // 10**9
BEGIN = Checkpoint(
    shard=1, epoch=1, cursor=0, second=0, final_before=0, pending=b"", open_minutes={}
)


def counting(checkpoint: Checkpoint = BEGIN) -> ShardCounter:
    """With the usual waits."""
    return ShardCounter(checkpoint, settle_s=10, longest_s=60)


def delivery(cursor: int, second: int, *said: dict[str, Any]) -> Delivery:
    """Some events that were committed at a second."""
    return Delivery(
        shard=1,
        epoch=1,
        cursor=cursor,
        commit_s=second,
        events=rows(*said),
        names=Names(),
        examples=(),
        size_bytes=0,
    )


def after(shard: ShardCounter, before: Checkpoint) -> Checkpoint:
    """Where a shard stands after a commit, as a store would give it."""
    changes = shard.changes()
    shard.committed(changes)
    opened = {**before.open_minutes, **changes.open_minutes}
    return replace(
        before,
        cursor=changes.to_cursor,
        second=changes.second,
        final_before=changes.final_before,
        pending=changes.pending,
        open_minutes={m: c for m, c in opened.items() if m not in changes.final_minutes},
    )


LOG = [
    delivery(1, NOW_S, span(1), record(1)),
    delivery(2, NOW_S, span(2, 1)),
    delivery(3, NOW_S + 4, span(1, trace_lo=2)),
    delivery(4, NOW_S + 12, span(3, 1)),
    delivery(5, NOW_S + 20, span(2, 1)),
    delivery(6, NOW_S + 200),
]


def finals(shard: ShardCounter) -> dict[int, bytes]:
    """The minutes that became final."""
    return dict(shard.changes().final_minutes)


def test_a_shard_that_stops_after_each_delivery_ends_with_the_same_bytes() -> None:
    whole = counting()
    for each in LOG:
        whole.take(each)
    checkpoint, told = BEGIN, dict[int, bytes]()
    for each in LOG:
        part = counting(checkpoint)
        part.take(each)
        told |= finals(part)
        checkpoint = after(part, checkpoint)
    assert told == finals(whole) != {}


def test_deliveries_of_one_second_are_counted_as_one() -> None:
    apart, joined = counting(), counting()
    for each in LOG:
        apart.take(each)
    merged = list(by_second(LOG))
    assert [each.cursor for each in merged] == [2, 3, 4, 5, 6]
    for each in merged:
        joined.take(each)
    assert finals(joined) == finals(apart)
    assert joined.cursor == apart.cursor


def test_a_gap_is_counted_as_lost_but_not_what_was_before_the_begin() -> None:
    shard = counting()
    shard.skip_to(1000)
    shard.take(delivery(1001, NOW_S, span(1)))
    shard.skip_to(1010)
    shard.take(delivery(1011, NOW_S + 200))
    lost = [unpacked(content).lost for content in finals(shard).values()]
    assert lost == [9]


def test_late_and_repeated_spans_are_told_apart() -> None:
    shard = counting()
    for each in LOG:
        shard.take(each)
    (table,) = (unpacked(content) for content in finals(shard).values())
    assert table.spans == 4
    assert table.edges.total("late") == 1
    assert table.edges.total("roots") == 2
