"""Novelty of the value, on working days and weekends apart: a height never reached, weekly seasons.

A context of `novelty`, which tells the measure, its source, cost and weakness.

>>> state = np.zeros(1, STATE)[0]
>>> for _ in range(99):
...     learn(state, Sample(value=1, weekend=0))
...     learn(state, Sample(value=90, weekend=1))
>>> score(state, Sample(value=90, weekend=1))
0.0
>>> round(score(state, Sample(value=90, weekend=0)), 2)
1.82
"""

import numpy as np

from services.detector.detectors import novelty
from services.detector.detectors.jit import kernel
from services.detector.detectors.sample import Sample

SIZES = (6, 6, 6, 5, 5)
PARTS = 2
STATE = novelty.parted_table(SIZES, PARTS)


@kernel
def score(state: np.void, sample: Sample) -> float:
    """Surprise of the sample before it is learnt, at least 0."""
    return novelty.meet_part(state, SIZES, sample.value, sample.values, sample.weekend, False)


@kernel
def learn(state: np.void, sample: Sample) -> None:
    """Makes the context known."""
    novelty.meet_part(state, SIZES, sample.value, sample.values, sample.weekend, True)


@kernel
def rescale(state: np.void, steps: int) -> None:
    """Follows a change of the grid's level."""
    novelty.rescale(state["table"], SIZES, steps)
