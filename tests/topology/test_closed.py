"""What final minutes add up to: the same from memory as from the store, and read once."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh import postgres
from services.topology.minutes.cells import SKETCHES
from services.topology.minutes.minutes import Minutes
from services.topology.minutes.packing import merged, packed
from services.topology.minutes.sketch import quantile_s
from services.topology.minutes.sums import summed
from services.topology.minutes.table import MinuteTable
from services.topology.query.blocks import cover
from services.topology.query.closed import ClosedMinutes
from services.topology.store.minutes import MinuteStore, Standing
from services.topology.traces.settle import settle
from tests.databases import execute
from tests.properties import examples
from tests.topology.events import NOW_NS, record, rows, span

NOW_S: Final = NOW_NS // 10**9
FIRST: Final = 1000
LAST: Final = FIRST + 70
STANDING: Final = Standing(final_before=LAST, rolled_before=0, second=LAST * 60, shards=2)
PUT: Final = "INSERT INTO topology.minute VALUES ($1, $2, true, $3)"


def counted(*traces: tuple[int, int, int]) -> MinuteTable:
    """A minute of traces of two spans: operation, milliseconds, status."""
    minutes = Minutes()
    for number, (operation, length_ms, status) in enumerate(traces):
        seen: dict[str, Any] = {"trace_lo": number + 1, "length_ms": length_ms}
        asking = span(1, operation=operation, peer=5, kind=3, **seen)
        answering = span(2, 1, operation=operation + 1, status=status, **seen)
        minutes.add(settle(rows(asking, answering, record(2, trace_lo=number + 1))), NOW_S)
        minutes.add_lines(rows(record(2, trace_lo=number + 1, parent=70 + operation)), NOW_S)
    minutes.note_lost(len(traces) // 3, NOW_S)
    tables = [*minutes.open.values()]
    return tables[0] if tables else MinuteTable()


TABLES: Final = st.lists(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 4000), st.sampled_from((0, 2))), max_size=6
    ),
    max_size=5,
)


@examples(60)
@given(TABLES)
def test_tables_add_up_to_what_their_bytes_add_up_to(minutes: list[Any]) -> None:
    tables = [counted(*traces) for traces in minutes]
    before = [packed(each) for each in tables]
    assert packed(summed(tables)) == packed(merged(before))
    assert [packed(each) for each in tables] == before


@examples(60)
@given(TABLES)
def test_quantiles_of_all_sketches_are_those_of_each(minutes: list[Any]) -> None:
    edges = summed([counted(*traces) for traces in minutes]).edges
    for which in (0.5, 0.95):
        each = [
            [quantile_s(edges.cells.sketch(row, s), which) for s in range(SKETCHES)]
            for row in range(len(edges))
        ]
        found = edges.cells.quantiles_s(len(edges), which)
        assert np.array_equal(found, np.array(each).reshape(found.shape), equal_nan=True)
    sizes = edges.cells.sizes(len(edges))
    assert sizes.sum() == edges.cells.counted()[1].sum()


@examples(100)
@given(st.sets(st.integers(0, 100)))
def test_blocks_hold_each_minute_once(minutes: set[int]) -> None:
    held = [
        minute for each in cover(minutes) for minute in range(each.first, each.first + each.length)
    ]
    assert len(held) == len(minutes)
    assert set(held) == minutes


@asynccontextmanager
async def stored(dsn: str, limit_bytes: int) -> AsyncIterator[tuple[ClosedMinutes, MinuteStore]]:
    """Two shards that counted something in each of 70 minutes."""
    async with postgres.open_pool(dsn, application_name="test") as pool:
        store = MinuteStore(pool)
        contents = [packed(counted((minute % 9 + 1, minute, 0))) for minute in range(FIRST, LAST)]
        for minute, content in enumerate(contents, FIRST):
            for shard in range(2):
                await pool.execute(PUT, minute, shard, content)
        with ThreadPoolExecutor(1) as threads:
            yield ClosedMinutes(store, threads, limit_bytes=limit_bytes), store


@pytest.mark.parametrize("limit_bytes", [1 << 20, 20_000, 1])
async def test_sums_are_the_same_with_room_and_without(migrated_dsn: str, limit_bytes: int) -> None:
    async with stored(migrated_dsn, limit_bytes) as (closed, store):
        for first, until in ((5, 65), (0, 70), (7, 8), (3, 33), (5, 65), (30, 30), (14, 40)):
            minutes = range(FIRST + first, FIRST + until)
            read = (await store.contents([], minutes)).values()
            wanted = merged([each for found in read for each in found])
            assert packed(summed(await closed.tables([], minutes, STANDING))) == packed(wanted)


async def test_what_is_final_is_read_once_until_a_shard_is_new(migrated_dsn: str) -> None:
    minutes = range(FIRST, LAST)
    async with stored(migrated_dsn, 1 << 24) as (closed, _):
        before = packed(summed(await closed.tables([], minutes, STANDING)))
        await execute(migrated_dsn, "DELETE FROM topology.minute")
        parts = [
            *await closed.tables([], minutes[:13], STANDING),
            *await closed.tables([], minutes[13:], STANDING),
        ]
        assert packed(summed(parts)) == before
        anew = summed(await closed.tables([], minutes, replace(STANDING, shards=3)))
        assert anew.spans == 0
