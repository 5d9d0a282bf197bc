"""The forest of a fresh install, grown on made-up series before there is any history."""

from functools import cache

import numpy as np
import numpy.typing as npt

from services.detector.detectors.engine import Engine, train
from services.detector.detectors.forest import Forest
from services.detector.detectors.simulation import series

SERIES, SAMPLES = 240, 4000
PER_DAY = (1440, 288, 96, 24)


@cache
def first_forest(seed: int = 0) -> Forest:
    """Grows the same forest for the same seed; takes a few seconds."""
    return train(made_up_rows(seed), seed=seed)


def made_up_rows(seed: int) -> npt.NDArray[np.float32]:
    """What the engine finds new about made-up series: training rows, the same for a seed."""
    engine = Engine(forest=None)
    first = engine.add_series(SERIES)
    for index in range(SERIES):
        per_day = PER_DAY[index % len(PER_DAY)]
        rows = np.full(SAMPLES, first + index, dtype=np.int32)
        times = np.arange(SAMPLES, dtype=np.int64) * (86_400_000 // per_day)
        engine.process(rows, times, series(seed * SERIES + index, SAMPLES, per_day))
    return engine.take_training_rows()
