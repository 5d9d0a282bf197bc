"""Absence of data: how long a series may be silent before that says something.

What it measures: how long nothing arrived of a series, against the second longest pause that is
remembered. A pause is the time between two samples, by their arrivals or by their own times,
whichever is longer: history that is sent at once teaches the rhythm that it was recorded in. A
pause is forgotten by a twelfth of the time that passes, whole after twelve times its length. So
one outage teaches nothing, however long, and what comes again, as portions, nights and weekends
do, is expected from the second time on.
Cost: O(1), 12 bytes.
Weakness: the end of a portion, of a day, of a week is announced as an end once or twice.

>>> state = np.zeros(1, STATE)[0]
>>> for _ in range(5):
...     learn(state, 60_000.0)
>>> round(patience_ms(state["second_ms"])), learn(state, 86_400_000.0)
(180000, None)
>>> round(patience_ms(state["second_ms"])), learn(state, 86_400_000.0)
(180000, None)
>>> round(patience_ms(state["second_ms"]) / 3_600_000)
72
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from services.detector.detectors.jit import kernel

TIMES_SECOND: Final = 3.0
SHORTEST_MS: Final = 60_000.0
FADES: Final = 1.0 / 12.0

STATE = np.dtype(
    [("delay_ms", np.float32), ("longest_ms", np.float32), ("second_ms", np.float32)], align=True
)
"""How late the last sample arrived after its timestamp, and the two longest pauses, faded."""

F64 = npt.NDArray[np.float64]


@kernel
def learn(state: np.void, quiet_ms: float) -> None:
    """Takes in a sample that comes after a pause of `quiet_ms`."""
    longest, faded = state["longest_ms"], FADES * quiet_ms
    second = max(state["second_ms"] - faded, min(longest, quiet_ms), 0.0)
    state["longest_ms"], state["second_ms"] = max(longest - faded, quiet_ms), second


@kernel
def patience_ms(second_ms: float) -> float:
    """The longest silence that is still usual."""
    return max(TIMES_SECOND * second_ms, SHORTEST_MS)


def patiences_ms(second_ms: npt.NDArray[np.float32]) -> F64:
    """The same for many series at once."""
    return np.asarray(np.maximum(TIMES_SECOND * second_ms.astype(np.float64), SHORTEST_MS))
