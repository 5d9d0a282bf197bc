"""How far the first suspect can be trusted.

Two questions: does the best score stand out of what windows without a fault show (a logistic
curve), and how much of the belief falls to the first of several close ones (a softmax). Their
three numbers were chosen on recorded incidents against fault-free windows; they belong to the
unit of the scores, not to a data set, and `make bench-explain` prints both sides.
"""

from collections.abc import Sequence
from math import exp, log

MIDDLE = 1.4
"""Best score about which a fault is as likely as none."""

STEEPNESS = 4.0
"""How fast belief in a fault grows with the score."""

CLOSE = 0.3
"""Scores that differ by this much share the belief e : 1."""

SUREST = 0.95
"""No more is ever claimed: of the surest verdicts on recorded incidents one in twenty was wrong."""

MANY, PER_FOLD = 50, 0.25
"""Among more suspects than that the best of mere noise scores higher, so much per e-fold."""

ENOUGH = 0.5
"""Nobody is named when a fault is less likely than this."""

LEAST = 0.15
"""Nobody is named when the first suspect is less likely than this: too many look alike."""


def standing(ranked: Sequence[float]) -> float:
    """Probability 0..`SUREST` that there is a fault to explain at all, by falling scores.

    >>> standing([]), standing([0.0]), round(standing([1.4]), 2)
    (0.0, 0.0, 0.47)
    """
    if not ranked or ranked[0] <= 0:
        return 0.0
    middle = MIDDLE + PER_FOLD * max(0.0, log(len(ranked) / MANY))
    return SUREST / (1.0 + exp(-STEEPNESS * (ranked[0] - middle)))


def shares(ranked: Sequence[float]) -> list[float]:
    """How the belief splits over suspects with these falling scores; sums to 1.

    >>> [round(share, 2) for share in shares([4.0, 4.0, 1.0])]
    [0.5, 0.5, 0.0]
    """
    weights = [exp((score - ranked[0]) / CLOSE) for score in ranked]
    total = sum(weights)
    return [weight / total for weight in weights]
