"""When a notice is tried again, and when it is given up. Pure."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.notifier.model.incident import Severity
from services.notifier.model.notices import Outcome

FIRST_S: Final = 1.0
LONGEST_S: Final = 300.0

Draw = Callable[[float, float], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLimits:
    """For how long a notice is tried, from when it was to go out."""

    critical_s: float = 24 * 3600.0
    other_s: float = 2 * 3600.0

    def of(self, severity: Severity) -> float:
        """For one of this severity."""
        return self.critical_s if severity is Severity.CRITICAL else self.other_s


def wait_s(attempt: int, outcome: Outcome, draw: Draw = random.uniform) -> float:
    """From a failed attempt, counted from 1, to the next: full jitter, 1 s doubling to 5 min.

    It is never less than what the server asked for.

    >>> wait_s(3, Outcome(error="x"), draw=lambda low, high: high)
    4.0
    >>> wait_s(1, Outcome(error="x", retry_after_s=30), draw=lambda low, high: high)
    30
    """
    ceiling = min(LONGEST_S, FIRST_S * 2 ** min(attempt - 1, 30))
    return max(draw(0.0, ceiling), outcome.retry_after_s)


def is_over(severity: Severity, age_s: float, outcome: Outcome, retry_limits: RetryLimits) -> bool:
    """Whether a failed notice is given up: trying is useless, or has lasted long enough."""
    return outcome.is_final or age_s >= retry_limits.of(severity)
