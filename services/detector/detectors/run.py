"""Novelty of how long the value has stayed in its cell: a flat line, a plateau held too long.

A run that fills more than half of what was seen is how the series is, and no surprise.

A context of `novelty`, which tells the measure, its source, cost and weakness.

>>> state = np.zeros(1, STATE)[0]
>>> for place in range(200):
...     learn(state, Sample(value=place % 2 * 64, last=(place + 1) % 2 * 64))
>>> score(state, Sample(value=0, last=64))
0.0
>>> round(score(state, Sample(value=64, last=64)), 2)
1.83
"""

import math

import numpy as np

from services.detector.detectors import novelty
from services.detector.detectors.grid import WIDTHS, source_of
from services.detector.detectors.jit import kernel
from services.detector.detectors.sample import Sample

SIZES = (6, 6, 6, 6, 6)
LONGEST = 255
STATE = np.dtype([("length", np.uint8, (WIDTHS,)), ("table", novelty.table(SIZES))], align=True)


@kernel
def score(state: np.void, sample: Sample) -> float:
    """Surprise of the run that this sample begins or prolongs, before it is learnt."""
    return _meet(state, sample, False)


@kernel
def learn(state: np.void, sample: Sample) -> None:
    """Counts the run and makes it known."""
    _meet(state, sample, True)


@kernel
def rescale(state: np.void, steps: int) -> None:
    """Follows a change of the grid's level."""
    novelty.rescale(state["table"], SIZES, steps)
    for index in range(WIDTHS):
        width, source = source_of(index, steps)
        state["length"][width] = state["length"][source] if 0 <= source < WIDTHS else 0


@kernel
def _meet(state: np.void, sample: Sample, learning: bool) -> float:
    total, start = 0.0, 0
    for width in range(WIDTHS):
        stays = (sample.value >> width) == (sample.last >> width)
        length = min(state["length"][width] + 1, LONGEST) if stays else 0
        key = novelty.lattice(sample.value >> width, int(2.0 * math.log2(1.0 + length)), 0)
        far = novelty.beyond(sample.value, sample.values, width)
        found = novelty.visit(state["table"], SIZES[width], width, start, key, far, learning)
        total += found if 2 * length <= state["table"]["age"][width] else 0.0
        start += 1 << SIZES[width]
        if learning:
            state["length"][width] = length
    return total / WIDTHS
