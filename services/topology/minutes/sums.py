"""Tables added up as they are, without a way over bytes."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from services.topology.minutes.cells import Int64s
from services.topology.minutes.edges import Edges
from services.topology.minutes.table import MinuteTable

_EDGE_BYTES: Final = 180
_CELL_BYTES: Final = 16
_ROW_BYTES: Final = 250


def summed(tables: Sequence[MinuteTable]) -> MinuteTable:
    """One table that holds what all of them hold; none of them is changed."""
    total = MinuteTable()
    _add_edges(total.edges, [each.edges for each in tables if len(each.edges)])
    for each in tables:
        for origin, (errors, traces) in each.origins.items():
            total.add_origin(origin, errors, traces)
        for pattern, lines in each.patterns.items():
            total.add_lines(pattern, lines)
        for first, traces in each.firsts.items():
            total.add_first(first, traces)
        for (operation, number), answers in each.shapes.items():
            total.add_shape(operation, number, answers, each.shape_calls[number])
        for answered, calls in each.behind.items():
            total.add_behind(answered, calls)
        total.spans += each.spans
        total.records += each.records
        total.lost += each.lost
    return total


def size_bytes(table: MinuteTable) -> int:
    """About how much memory a table holds."""
    rows = len(table.origins) + len(table.patterns) + len(table.firsts)
    rows += len(table.shapes) + len(table.shape_calls) + len(table.behind) + 1
    cells = len(table.edges.cells.counted()[0])
    return _EDGE_BYTES * len(table.edges) + _CELL_BYTES * cells + _ROW_BYTES * rows


def _add_edges(total: Edges, parts: Sequence[Edges]) -> None:
    """All at once: the rows of one part follow those of the part before."""
    if not parts:
        return
    places, counts, before = list[Int64s](), list[Int64s](), 0
    for each in parts:
        own, often = each.cells.counted()
        places.append(each.cells.shifted(own, before))
        counts.append(often)
        before += len(each)
    total.add_columns(
        np.concatenate([each.keys for each in parts]),
        np.concatenate([each.counts[: len(each)] for each in parts]),
        np.concatenate(places),
        np.concatenate(counts),
    )
