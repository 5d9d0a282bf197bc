"""The machine code of the engine: made once per machine, read from disk at later starts."""

from typing import TYPE_CHECKING

import numpy as np

from services.detector.detectors import threshold
from services.detector.detectors.engine import FEATURES, Engine, Forest, Settings

if TYPE_CHECKING:
    import numpy.typing as npt


def compile_kernels(settings: Settings) -> None:
    """Runs every kernel of the engine once, with a forest of one empty tree.

    Ten to twenty seconds of one core at the first start, half a second later.
    """
    forest = Forest(
        names=FEATURES,
        feature=np.zeros((1, 1), dtype=np.uint8),
        threshold=np.zeros((1, 1), dtype=np.float32),
        length=np.ones((1, 3)),
        normal=1.0,
    )
    engine = Engine(forest=forest, settings=settings)
    rows = np.full(settings.warm_up + 2, engine.add_series(1), dtype=np.int32)
    ticks = np.arange(len(rows), dtype=np.int64)
    engine.process(rows, ticks, ticks.astype(np.float64))
    engine.contributions(np.zeros((1, len(FEATURES)), dtype=np.float32))
    _compile_thresholds(rows, ticks)


def _compile_thresholds(rows: "npt.NDArray[np.int32]", ticks: "npt.NDArray[np.int64]") -> None:
    values, fresh = ticks.astype(np.float64), np.zeros(len(ticks), dtype=np.bool_)
    threshold.in_order(rows, ticks, values, ticks[:1] - 1, fresh)
    hits = np.zeros(len(ticks), dtype=np.int8)
    terms = threshold.Terms(1.0, 2.0, 0.0, 0)
    threshold.step(threshold.empty(1), rows, ticks, values, fresh, ~fresh, terms, hits)


if __name__ == "__main__":
    compile_kernels(Settings())
