"""Novelty of how long the value has stayed in its cell: a flat line, a plateau held too long.

A run that fills more than half of what was seen is how the series is, and no surprise.

A context of `novelty`, which tells the measure, its source, cost and weakness.

>>> lengths = np.zeros(WIDTHS, np.uint8)
>>> for _ in range(200):
...     learn(lengths, Sample(value=7, last=7))
>>> so_far(lengths, Sample(value=7, last=7), 0), so_far(lengths, Sample(value=9, last=7), 0)
(201, 0)
>>> so_far(lengths, Sample(value=9, last=7), 4)
201
>>> [classify(length) for length in (0, 1, 2, 3, 4, 200, 255)]
[0, 2, 3, 4, 4, 15, 16]
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from services.detector.detectors.grid import WIDTHS, source_of
from services.detector.detectors.jit import kernel
from services.detector.detectors.sample import Sample

LONGEST: Final = 255
_CLASS: Final = np.array(
    [int(2.0 * math.log2(1.0 + length)) for length in range(LONGEST + 1)], np.uint8
)
Lengths = npt.NDArray[np.uint8]
"""Samples in the present cell before the next one, at each width."""


@kernel
def so_far(lengths: Lengths, sample: Sample, width: int) -> int:
    """Samples in the cell before this one, with it; 0 if it is in another."""
    stays = (sample.value >> width) == (sample.last >> width)
    return min(int(lengths[width]) + 1, LONGEST) if stays else 0


@kernel
def classify(length: int) -> int:
    """Lengths that are alike: two classes for each doubling."""
    return int(_CLASS[length])


@kernel
def learn(lengths: Lengths, sample: Sample) -> None:
    """Counts the sample."""
    for width in range(WIDTHS):
        lengths[width] = so_far(lengths, sample, width)


@kernel
def rescale(lengths: Lengths, steps: int) -> None:
    """Follows a change of the grid's level."""
    for index in range(WIDTHS):
        width, source = source_of(index, steps)
        lengths[width] = lengths[source] if 0 <= source < WIDTHS else 0
