"""Where one series was expected, sample after sample, thinned for a chart."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.detector.detectors import kinds
from services.detector.detectors.engine import Engine, Forest, Settings

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class Ranges(NamedTuple):
    """Columns of equal length; `values` are per second where the series is a counter."""

    timestamps_ms: I64
    values: F64
    low: F64
    high: F64
    is_counter: bool


def expected_ranges(
    timestamps_ms: I64,
    values: F64,
    *,
    start_ms: int,
    end_ms: int,
    points: int,
    forest: Forest | None,
    settings: Settings,
    declared: int = kinds.GAUGE,
) -> Ranges:
    """Ranges from `start_ms` to before `end_ms`; what comes before is learnt.

    `declared` says what the series is, as in `Engine.declare`.

    Of more than `points` samples the one farthest outside its range is taken from each of `points`
    equal spans. Cost: that of the engine, about 2 microseconds a sample.
    """
    engine = Engine(forest=forest, settings=settings)
    rows = np.full(len(values), engine.add_series(1), dtype=np.int32)
    engine.declare(np.zeros(1, np.int32), np.array([declared], np.uint8))
    scores = engine.process(rows, timestamps_ms, values)
    inside = (timestamps_ms >= start_ms) & (timestamps_ms < end_ms)
    shown = np.flatnonzero(inside & np.isfinite(scores.expected_low))
    low, high, scored = scores.expected_low, scores.expected_high, scores.value
    if len(shown) > points:
        spans = (timestamps_ms[shown] - start_ms) * points // max(end_ms - start_ms, 1)
        outside = np.maximum(scored - high, low - scored)[shown]
        order = np.lexsort((-outside, spans))
        _, firsts = np.unique(spans[order], return_index=True)
        shown = np.sort(shown[order[firsts]])
    counted = bool(engine.counters()[0])
    return Ranges(timestamps_ms[shown], scored[shown], low[shown], high[shown], counted)
