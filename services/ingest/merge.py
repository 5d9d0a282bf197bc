"""Putting samples of one series in order: each time once, the last write wins. Pure."""

import numpy as np

from services.ingest.model import Float64s, Int64s


def merged(times: Int64s, values: Float64s) -> tuple[Int64s, Float64s]:
    """Rows in order of writing become rows in order of time, each time once."""
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    last = np.ones(len(times), np.bool_)
    last[:-1] = times[1:] != times[:-1]
    return times[last], values[last]


def grouped(ids: Int64s) -> list[tuple[int, "np.ndarray[tuple[int], np.dtype[np.intp]]"]]:
    """The rows of each distinct id, in their order, by ascending id."""
    order = np.argsort(ids, kind="stable")
    cuts = np.flatnonzero(np.diff(ids[order])) + 1
    parts = np.split(order, cuts) if len(order) else []
    return [(int(ids[part[0]]), part) for part in parts]
