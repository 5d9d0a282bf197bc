"""Replay of one series through the engine, sample after sample, as it would have been scored."""

import numpy as np
import numpy.typing as npt

from services.detector.detectors.engine import Engine, Forest, Scores, Settings

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


def replay(
    timestamps_ms: I64, values: F64, *, forest: Forest, settings: Settings | None = None
) -> Scores:
    """Scores of one series from its first sample; no score depends on a later sample."""
    engine = Engine(forest=forest, settings=settings)
    rows = np.full(len(values), engine.add_series(1), dtype=np.int32)
    return engine.process(rows, timestamps_ms, values)
