"""Novelty of the value in this quarter of the day: daily seasons.

A context of `novelty`, which tells the measure, its source, cost and weakness.

>>> state = np.zeros(1, STATE)[0]
>>> for _ in range(99):
...     learn(state, Sample(value=1, quarter=1))
...     learn(state, Sample(value=90, quarter=2))
>>> score(state, Sample(value=90, quarter=2))
0.0
>>> round(score(state, Sample(value=90, quarter=1)), 2)
1.82
"""

import numpy as np

from services.detector.detectors import novelty
from services.detector.detectors.jit import kernel
from services.detector.detectors.sample import Sample

SIZES = (7, 7, 6, 6, 6)
PARTS = 4
STATE = novelty.parted_table(SIZES, PARTS)


@kernel
def score(state: np.void, sample: Sample) -> float:
    """Surprise of the sample before it is learnt, at least 0."""
    return novelty.meet_part(state, SIZES, sample.value, sample.values, sample.quarter, False)


@kernel
def learn(state: np.void, sample: Sample) -> None:
    """Makes the context known."""
    novelty.meet_part(state, SIZES, sample.value, sample.values, sample.quarter, True)


@kernel
def rescale(state: np.void, steps: int) -> None:
    """Follows a change of the grid's level."""
    novelty.rescale(state["table"], SIZES, steps)
