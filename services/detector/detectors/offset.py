"""Novelty of the distance from the recent level: off the curve, whatever the height.

A context of `novelty`, which tells the measure, its source, cost and weakness.

>>> state = np.zeros(1, STATE)[0]
>>> for _ in range(99):
...     learn(state, Sample(offset=1))
>>> score(state, Sample(offset=1))
0.0
>>> round(score(state, Sample(offset=-90)), 2)
1.36
"""

import numpy as np

from services.detector.detectors import novelty
from services.detector.detectors.jit import kernel
from services.detector.detectors.sample import Sample

SIZES = novelty.NARROW
STATE = novelty.table(SIZES)


@kernel
def score(state: np.void, sample: Sample) -> float:
    """Surprise of the sample before it is learnt, at least 0."""
    return novelty.meet(state, SIZES, sample.offset, sample.offsets, 0, 0, 0, False)


@kernel
def learn(state: np.void, sample: Sample) -> None:
    """Makes the context known."""
    novelty.meet(state, SIZES, sample.offset, sample.offsets, 0, 0, 0, True)


@kernel
def rescale(state: np.void, steps: int) -> None:
    """Follows a change of the grid's level."""
    novelty.rescale(state, SIZES, steps)
