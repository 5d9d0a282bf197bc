"""Putting samples of series in order: each time once, the last write wins. Pure."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.samples import Float64s, Int64s

Points = tuple[Int64s, Float64s]
"""Times and values of one series, of equal length."""

_HOUR_MS: Final = 3_600_000


def merged(times: Int64s, values: Float64s) -> Points:
    """Rows in order of writing become rows in order of time, each time once."""
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    last = np.ones(len(times), np.bool_)
    last[:-1] = times[1:] != times[:-1]
    return times[last], values[last]


def grouped(ids: Int64s) -> list[tuple[int, NDArray[np.intp]]]:
    """The rows of each distinct id, in their order, by ascending id."""
    order = np.argsort(ids, kind="stable")
    cuts = np.flatnonzero(np.diff(ids[order])) + 1
    parts = np.split(order, cuts) if len(order) else []
    return [(int(ids[part[0]]), part) for part in parts]


def by_hour(ids: Int64s, times: Int64s, values: Float64s) -> dict[int, dict[int, Points]]:
    """Rows by hour since the Unix epoch and series, in their order."""
    return {
        hour: {
            series_id: (times[rows[part]], values[rows[part]])
            for series_id, part in grouped(ids[rows])
        }
        for hour, rows in grouped(times // _HOUR_MS)
    }
