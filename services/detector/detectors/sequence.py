"""Novelty of the value after the value before it: a step never taken from there.

A context of `novelty`, which tells the measure, its source, cost and weakness.

>>> state = np.zeros(1, STATE)[0]
>>> for _ in range(99):
...     learn(state, Sample(value=1, last=1))
>>> score(state, Sample(value=1, last=1))
0.0
>>> round(score(state, Sample(value=1, last=90)), 2)
1.7
"""

import numpy as np

from services.detector.detectors import novelty
from services.detector.detectors.jit import kernel
from services.detector.detectors.sample import Sample

SIZES = (7, 7, 7, 7, 7)
STATE = novelty.table(SIZES)


@kernel
def score(state: np.void, sample: Sample) -> float:
    """Surprise of the sample before it is learnt, at least 0."""
    return novelty.meet(state, SIZES, sample.value, sample.values, sample.last, 0, 0, False)


@kernel
def learn(state: np.void, sample: Sample) -> None:
    """Makes the context known."""
    novelty.meet(state, SIZES, sample.value, sample.values, sample.last, 0, 0, True)


@kernel
def rescale(state: np.void, steps: int) -> None:
    """Follows a change of the grid's level."""
    novelty.rescale(state, SIZES, steps)
