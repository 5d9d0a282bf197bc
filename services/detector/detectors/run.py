"""Novelty of how long the value has stayed in its cell: a flat line, a plateau held too long.

A context of `novelty`, which tells measure, source, cost and weakness.
"""

import math

import numpy as np

from services.detector.detectors import novelty
from services.detector.detectors.grid import WIDTHS
from services.detector.detectors.jit import kernel

SIZES = (6, 6, 6, 6, 6)
STATE = np.dtype([("length", np.uint8, (WIDTHS,)), ("table", novelty.table(SIZES))], align=True)


@kernel
def score(state, sample):  # type: ignore[no-untyped-def]
    """Surprise of the run that this sample begins or prolongs, before it is learnt."""
    return _meet(state, sample, False)


@kernel
def learn(state, sample):  # type: ignore[no-untyped-def]
    """Counts the run and makes it known."""
    _meet(state, sample, True)


@kernel
def _meet(state, sample, learning):  # type: ignore[no-untyped-def]
    total, start = 0.0, 0
    for width in range(WIDTHS):
        stays = (sample.value >> width) == (sample.last >> width)
        length = min(state["length"][width] + 1, 255) if stays else 0
        beside = int(2.0 * math.log2(1.0 + length))
        key = novelty.lattice(sample.value >> width, beside, 0)
        total += novelty.visit(state["table"], SIZES[width], width, start, key, learning)
        start += 1 << SIZES[width]
        if learning:
            state["length"][width] = length
    return total / WIDTHS


@kernel
def rescale(state, steps):  # type: ignore[no-untyped-def]
    """Follows a change of the grid's level."""
    novelty.rescale(state["table"], SIZES, steps)
    for index in range(WIDTHS):
        width = index if steps > 0 else WIDTHS - 1 - index
        source = width + steps
        state["length"][width] = state["length"][source] if 0 <= source < WIDTHS else 0
