"""Long series for charts: mean, minimum and maximum of equal steps. Pure."""

from dataclasses import dataclass

import numpy as np

from services.ingest.model.points import Points
from services.ingest.model.samples import Float64s, Int64s


@dataclass(frozen=True, slots=True)
class Steps:
    """One row per step that has samples: its first time, and what its samples come to."""

    timestamps_ms: Int64s
    means: Float64s
    minimums: Float64s
    maximums: Float64s


def in_steps(points: Points, start_ms: int, end_ms: int, count: int) -> Steps:
    """The samples, ascending in time, in `count` equal steps; NaN is left out where it can be."""
    times, values = points
    width_ms = max(1, -(-(end_ms - start_ms) // count))
    steps = (times - start_ms) // width_ms
    firsts = np.flatnonzero(np.diff(steps, prepend=-1))
    known = ~np.isnan(values)
    counts = np.add.reduceat(known.astype(np.float64), firsts)
    with np.errstate(invalid="ignore", divide="ignore"):
        sums = np.add.reduceat(np.where(known, values, 0.0), firsts)
        means = sums / counts
    return Steps(
        timestamps_ms=start_ms + steps[firsts] * width_ms,
        means=means,
        minimums=np.fmin.reduceat(values, firsts),
        maximums=np.fmax.reduceat(values, firsts),
    )
