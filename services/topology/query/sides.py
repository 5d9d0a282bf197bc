"""One side of a comparison: the counts of some minutes, by name."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.topology.minutes.cells import DURATION, OWN, WAIT, Cells, Int64s
from services.topology.minutes.edges import COUNTS
from services.topology.minutes.packing import merged
from services.topology.minutes.sums import summed
from services.topology.minutes.table import WEIGHT_UNIT, MinuteTable
from services.topology.query.closed import ClosedMinutes
from services.topology.query.naming import Dictionary, EdgeName
from services.topology.query.spans import parts
from services.topology.store.minutes import MinuteStore, Standing

_COLUMN: Final = {name: place for place, name in enumerate(COUNTS)}
_QUANTILES: Final = (0.5, 0.95, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """In seconds; NaN where nothing was measured."""

    count: int
    p50_s: float
    p95_s: float
    longest_s: float
    sum_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What was counted of an edge, as `EdgeCounts` of the contract."""

    spans: int
    weight: float
    errors: int
    origins: int
    late: int
    duration: Durations
    own: Durations
    wait: Durations


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What some minutes add up to.

    Attributes:
        minutes: That have begun.
        provisional: Of these, those that may still grow.
    """

    table: MinuteTable
    minutes: int
    provisional: int

    def total(self, column: str) -> int:
        """The sum of a column over all edges."""
        return self.table.edges.total(column)

    @property
    def weight(self) -> float:
        """Requests that the calls stand for."""
        return self.total("weight") / WEIGHT_UNIT


class Sides:
    """Reads sides; adds up in `pool`."""

    def __init__(self, store: MinuteStore, closed: ClosedMinutes, pool: Executor) -> None:
        """Reads from `store` what is not closed."""
        self._store = store
        self._closed = closed
        self._pool = pool

    async def standing(self) -> Standing:
        """How far all shards are."""
        return await self._store.standing()

    async def side(self, minutes: Sequence[int], standing: Standing) -> Side:
        """What some minutes add up to."""
        hours, left = parts(minutes, standing)
        closed = [minute for minute in left if minute < standing.final_before]
        open_ = [minute for minute in left if minute >= standing.final_before]
        tables = await self._closed.tables(hours, closed, standing)
        contents = (await self._store.contents([], open_)).values()

        def added() -> MinuteTable:
            return summed([*tables, merged([each for found in contents for each in found])])

        table = await asyncio.get_running_loop().run_in_executor(self._pool, added)
        begun = [minute for minute in minutes if minute * 60 <= standing.second]
        provisional = sum(minute >= standing.final_before for minute in begun)
        return Side(table=table, minutes=len(begun), provisional=provisional)


def edges_by_name(
    table: MinuteTable, known: Dictionary, named: Callable[[EdgeName], EdgeName | None]
) -> Mapping[EdgeName, Counts]:
    """The edges of a table; those that `named` gives the same name are one.

    Args:
        table: With the counts.
        known: What their ids stand for.
        named: Gives the name under which an edge is shown; None leaves it out.
    """
    groups: dict[EdgeName, int] = {}
    taken, places = list[int](), list[int]()
    for key, row in table.edges.items():
        name = named(known.edge(key))
        if name is not None:
            taken.append(row)
            places.append(groups.setdefault(name, len(groups)))
    rows, into = np.array(taken, np.int64), np.array(places, np.int64)
    sums = np.zeros((len(groups), len(COUNTS)), np.int64)
    np.add.at(sums, into, table.edges.counts[rows])
    cells = _grouped(table.edges.cells, rows, into, len(table.edges))
    columns = (sums, cells.sizes(len(sums)), *(cells.quantiles_s(len(sums), q) for q in _QUANTILES))
    counted = zip(groups, *(each.tolist() for each in columns), strict=True)
    return {name: _counts(*of_edge) for name, *of_edge in counted}


def _grouped(cells: Cells, rows: Int64s, into: Int64s, count: int) -> Cells:
    """Cells of some rows, added up by group."""
    group_of = np.full(count, -1, np.int64)
    group_of[rows] = into
    grouped = Cells()
    places, counts = cells.counted()
    kept = group_of[Cells.rows_of(places)] >= 0 if count else np.zeros(0, np.bool_)
    grouped.add_counted(places[kept], counts[kept], group_of)
    return grouped


def _counts(
    sums: Sequence[int],
    sizes: Sequence[int],
    p50_s: Sequence[float],
    p95_s: Sequence[float],
    longest_s: Sequence[float],
) -> Counts:
    def durations(which: int, total: str) -> Durations:
        return Durations(
            count=sizes[which],
            p50_s=p50_s[which],
            p95_s=p95_s[which],
            longest_s=longest_s[which],
            sum_s=sums[_COLUMN[total]] / 1e9,
        )

    return Counts(
        spans=sums[_COLUMN["spans"]],
        weight=sums[_COLUMN["weight"]] / WEIGHT_UNIT,
        errors=sums[_COLUMN["errors"]],
        origins=sums[_COLUMN["origins"]],
        late=sums[_COLUMN["late"]],
        duration=durations(DURATION, "duration_ns"),
        own=durations(OWN, "own_ns"),
        wait=durations(WAIT, "wait_ns"),
    )
