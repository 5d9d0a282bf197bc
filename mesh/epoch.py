"""Numbers that stand for a time since 1970-01-01 UTC, in the unit that their size shows.

Up to 1e11 a number is seconds (the year 5138), up to 1e14 milliseconds, up to 1e17 microseconds,
up to 1e20 nanoseconds: for dates after March 1973 there is no doubt.
"""

import math
from typing import Final

_PER_MS: Final = ((1e14, 1), (1e17, 1_000), (1e20, 1_000_000))
_SECONDS_BELOW: Final = 1e11


def epoch_ms(number: float) -> int:
    """Milliseconds since the Unix epoch, rounded down.

    >>> epoch_ms(1795844358), epoch_ms(1795844358374), epoch_ms(1795844358374999999)
    (1795844358000, 1795844358374, 1795844358374)

    Raises:
        ValueError: The number is too large for any unit, or none at all.
    """
    if abs(number) < _SECONDS_BELOW:
        return math.floor(number * 1000)
    for limit, per_ms in _PER_MS:
        if abs(number) < limit:
            return math.floor(number // per_ms)
    raise ValueError("is no time: send RFC 3339, or seconds or milliseconds since 1970")
