"""Novelty of how long the value has stayed in its cell: a flat line, a plateau held too long.

A run that fills more than half of what was seen is how the series is, and no surprise.

A context of `novelty`, which tells the measure, its source, cost and weakness.

>>> state, places = np.zeros(1, STATE)[0], np.zeros(WIDTHS, np.int16)
>>> for place in range(200):
...     sample = Sample(value=place % 2 * 64, last=(place + 1) % 2 * 64)
...     found, _ = meet(state, sample, places, 0), learn(state, sample, places, 0)
>>> meet(state, Sample(value=0, last=64), places, 0)
0.0
>>> round(meet(state, Sample(value=64, last=64), places, 0), 2)
1.83
"""

import math

import numpy as np

from services.detector.detectors import novelty
from services.detector.detectors.grid import WIDTHS, source_of
from services.detector.detectors.jit import kernel
from services.detector.detectors.novelty import Places
from services.detector.detectors.sample import Sample

SIZES = (6, 6, 6, 6, 6)
LONGEST = 255
STATE = np.dtype([("length", np.uint8, (WIDTHS,)), ("table", novelty.table(SIZES))], align=True)


@kernel
def rescale(state: np.void, steps: int) -> None:
    """Follows a change of the grid's level."""
    known, age = state["table"]["known"][:], state["table"]["age"][:]
    novelty.rescale(known, age, SIZES, steps)
    for index in range(WIDTHS):
        width, source = source_of(index, steps)
        state["length"][width] = state["length"][source] if 0 <= source < WIDTHS else 0


@kernel
def meet(state: np.void, sample: Sample, places: Places, at: int) -> float:
    """Surprise of the run that this sample begins or prolongs."""
    known, age = state["table"]["known"][:], state["table"]["age"][:]
    total, start = 0.0, 0
    for width in range(WIDTHS):
        length = _length(state, sample, width)
        key = novelty.lattice(sample.value >> width, int(2.0 * math.log2(1.0 + length)), 0)
        far = novelty.beyond(sample.value, sample.values, width)
        found = novelty.visit(known, age, SIZES[width], width, start, key, far, places, at)
        total += found if 2 * length <= age[width] else 0.0
        start += 1 << SIZES[width]
    return total / WIDTHS


@kernel
def learn(state: np.void, sample: Sample, places: Places, at: int) -> None:
    """Counts the sample that was met last."""
    novelty.learn(state["table"]["known"][:], state["table"]["age"][:], SIZES, places, at)
    for width in range(WIDTHS):
        state["length"][width] = _length(state, sample, width)


@kernel
def _length(state: np.void, sample: Sample, width: int) -> int:
    """Samples in the cell before this one, with it; 0 if it is in another."""
    stays = (sample.value >> width) == (sample.last >> width)
    return min(state["length"][width] + 1, LONGEST) if stays else 0
