"""Novelty of the value on a working day or on a weekend: weekly seasons.

A context of `novelty`, which tells measure, source, cost and weakness.
"""

from services.detector.detectors import novelty
from services.detector.detectors.jit import kernel

SIZES = (6, 6, 6, 5, 5)
STATE = novelty.table(SIZES)


@kernel
def score(state, sample):  # type: ignore[no-untyped-def]
    """Surprise of the sample before it is learnt, at least 0."""
    return novelty.meet(state, SIZES, sample.value, 0, 0, sample.weekend, False)


@kernel
def learn(state, sample):  # type: ignore[no-untyped-def]
    """Makes the context known."""
    novelty.meet(state, SIZES, sample.value, 0, 0, sample.weekend, True)
