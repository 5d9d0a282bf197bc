"""Novelty of three values in a row on cells twice as wide: a shape never drawn.

A context of `novelty`, which tells the measure, its source, cost and weakness.

>>> state = np.zeros(1, STATE)[0]
>>> for _ in range(99):
...     learn(state, Sample(value=1, last=1))
>>> score(state, Sample(value=1, last=1))
0.0
>>> round(score(state, Sample(value=1, last=1, before=90)), 2)
1.7
"""

import numpy as np

from services.detector.detectors import novelty
from services.detector.detectors.jit import kernel
from services.detector.detectors.sample import Reach, Sample

SIZES = (7, 7, 7, 7, 7)
STATE = novelty.table(SIZES)


@kernel
def score(state: np.void, sample: Sample) -> float:
    """Surprise of the sample before it is learnt, at least 0."""
    return _meet(state, sample, False)


@kernel
def learn(state: np.void, sample: Sample) -> None:
    """Makes the context known."""
    _meet(state, sample, True)


@kernel
def rescale(state: np.void, steps: int) -> None:
    """Follows a change of the grid's level."""
    novelty.rescale(state, SIZES, steps)


@kernel
def _meet(state: np.void, sample: Sample, learning: bool) -> float:
    reach = Reach(sample.values.low >> 1, sample.values.high >> 1)
    last, before = sample.last >> 1, sample.before >> 1
    return novelty.meet(state, SIZES, sample.value >> 1, reach, last, before, 0, learning)
