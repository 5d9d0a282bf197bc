"""What a detector gets of one sample."""

from typing import NamedTuple


class Reach(NamedTuple):
    """Cells of the lowest and the highest that a signal ever was."""

    low: int = -(10**16)
    high: int = 10**16


class Sample(NamedTuple):
    """One sample in cells of the grids of its series, the finest width; `>> k` is k widths up.

    Attributes:
        value: cell of the value.
        last: cell of the value before.
        before: cell of the value before that.
        change: cell of the value minus the value before, on the grid of changes.
        offset: cell of the value minus the recent level, on the grid of offsets.
        quarter: quarter of the day by the clock on the wall, 0 to 3.
        weekend: 1 on Saturday and Sunday by the clock on the wall, else 0.
        values, changes, offsets: what each of these signals reached before this sample.
    """

    value: int = 0
    last: int = 0
    before: int = 0
    change: int = 0
    offset: int = 0
    quarter: int = 0
    weekend: int = 0
    values: Reach = Reach()
    changes: Reach = Reach()
    offsets: Reach = Reach()
