"""Novelty of the value: a height never reached, or a gap in the range never entered.

A context of `novelty`, which tells measure, source, cost and weakness.
"""

from services.detector.detectors import novelty
from services.detector.detectors.jit import kernel

SIZES = novelty.NARROW
STATE = novelty.table(SIZES)


@kernel
def score(state, sample):  # type: ignore[no-untyped-def]
    """Surprise of the sample before it is learnt, at least 0."""
    return novelty.meet(state, SIZES, sample.value, 0, 0, 0, False)


@kernel
def learn(state, sample):  # type: ignore[no-untyped-def]
    """Makes the context known."""
    novelty.meet(state, SIZES, sample.value, 0, 0, 0, True)
