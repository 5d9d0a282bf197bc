"""What feedback does to a series: the alert score its alarms must pass, and what they may cost.

Every alarm judged false beyond those judged true adds `STEP` of the strength of the median false
one, until a usual false alarm stays silent. The bar never comes near the weakest alarm judged true,
so that what people want to hear is heard again, and never passes `HIGHEST`, so that what has never
been seen is heard too. It does not depend on the order of the judgements, and sinks when they are
forgotten.
The noise budget is one of false alarms, so a series whose alarms were often true may raise more of
them: as many as leave the accepted number of false ones, up to `MOST` times the budget.
Cost: O(judgements of the series).
Weakness: true alarms that are as weak as the noise of their series get lost with it.

>>> [round(bar([0.8] * count, []), 2) for count in (1, 2, 4, 7, 20)]
[0.38, 0.55, 0.71, 0.8, 0.8]
>>> round(bar([0.8] * 9, [0.81]), 2), bar([0.999] * 9, []), bar([], [0.9])
(0.68, 0.98, 0.0)
>>> [round(allowance(false, true), 2) for false, true in [(0, 0), (4, 0), (4, 1), (1, 1), (0, 5)]]
[1.0, 1.0, 1.2, 1.5, 2.0]
"""

from collections.abc import Sequence
from typing import NamedTuple

STEP = 0.15
BELOW_TRUE = 0.5
HIGHEST = 0.98
MOST = 2.0


class Strictness(NamedTuple):
    """What is asked of a series: alert scores above `bar`, at `allowance` times the budget."""

    bar: float = 0.0
    allowance: float = 1.0


def strictness(false_scores: Sequence[float], true_scores: Sequence[float]) -> Strictness:
    """After alarms with these alert scores in [0, 1) were judged."""
    allowed = allowance(len(false_scores), len(true_scores))
    return Strictness(bar(false_scores, true_scores), allowed)


def bar(false_scores: Sequence[float], true_scores: Sequence[float]) -> float:
    """Alert score in [0, `HIGHEST`] that an alarm must pass; scores in [0, 1)."""
    if not false_scores:
        return 0.0
    excess = max(len(false_scores) - len(true_scores), 1)
    usual = _strength(sorted(false_scores)[len(false_scores) // 2])
    strength = min(STEP * excess, 1.0) * usual
    if true_scores:
        strength = min(strength, BELOW_TRUE * _strength(min(true_scores)))
    return min(strength / (1.0 + strength), HIGHEST)


def allowance(false_count: int, true_count: int) -> float:
    """How many times the budget may be spoken, 1 to `MOST`."""
    return min(1.0 + true_count / (false_count + 1.0), MOST)


def _strength(score: float) -> float:
    """The inverse of score = strength / (1 + strength)."""
    return score / max(1.0 - score, 1e-12)
