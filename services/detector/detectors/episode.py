"""One alert per episode, fatigue, and the noise budget.

An episode lasts until the tension has sunk to 1.5 % of its crest, some six hours after the last
comparable sample; within it only a new peak speaks. A peak speaks the softer, the further it
stays below the highest peak of the series' last weeks (half-life 30 days).

The budget is kept twice. A bar that every alert raises and time lowers settles where alerts come as
often as accepted, so that the strong ones speak. And a purse that starts with one coin, gets as
many as accepted and holds four weeks' worth pays each alert: there are never more than that.
Cost: O(1), 24 bytes.
Weakness: a second fault that starts within hours of a larger one stays silent.

>>> state = np.zeros(1, STATE)[0]
>>> [round(speak(state, strange, tension, 60_000.0, 0.0), 2)
...  for strange, tension in [(0.0, 0.0), (2.0, 2.0), (1.0, 3.0), (4.0, 7.0), (0.0, 7.0)]]
[0.0, 2.0, 0.0, 4.0, 0.0]
"""

import math

import numpy as np

from services.detector.detectors.jit import kernel

DAY_MS = 86_400_000.0
FATIGUE_DAYS = 30.0
FATIGUE = 0.25
OVER = 0.015
STEP, LOWEST = 1.0, -6.0
"""What an alert adds to the bar, and where the bar stops falling; log2 of strength."""
STATE = np.dtype(
    [
        ("tired_days", np.float32),
        ("peak", np.float32),
        ("crest", np.float32),
        ("habit", np.float32),
        ("spent", np.float32),
        ("bar", np.float32),
    ],
    align=True,
)


@kernel
def speak(
    state: np.void, strangeness: float, tension: float, elapsed_ms: float, per_week: float
) -> float:
    """Strength of the alert that this sample gives, 0 when it opens or raises no episode."""
    _pass_time(state, elapsed_ms, per_week)
    if tension < OVER * state["crest"]:
        state["peak"], state["crest"] = 0.0, 0.0
    state["crest"] = max(state["crest"], tension)
    if strangeness <= state["peak"]:
        return 0.0
    state["peak"] = strangeness
    share = _share_of_habit(state, strangeness)
    strength = strangeness * share**FATIGUE
    return strength if _pays(state, strength, per_week) else 0.0


@kernel
def _pass_time(state: np.void, elapsed_ms: float, per_week: float) -> None:
    state["tired_days"] += elapsed_ms / DAY_MS
    coins = per_week * elapsed_ms / (7.0 * DAY_MS)
    state["bar"] = max(state["bar"] - STEP * coins, LOWEST)
    state["spent"] = max(state["spent"] - coins, 1.0 - max(4.0 * per_week, 1.0))


@kernel
def _share_of_habit(state: np.void, strangeness: float) -> float:
    """The peak as a share of the highest recent peak, itself included."""
    habit = state["habit"] * 0.5 ** (state["tired_days"] / FATIGUE_DAYS)
    state["habit"] = max(habit, strangeness)
    state["tired_days"] = 0.0
    share: float = strangeness / max(habit, strangeness)
    return share


@kernel
def _pays(state: np.void, strength: float, per_week: float) -> bool:
    """Whether the budget lets a peak of this strength speak; takes its coin."""
    if per_week <= 0.0:
        return True
    if state["spent"] > 0.0 or math.log2(strength) < state["bar"]:
        return False
    state["spent"] += 1.0
    state["bar"] += STEP
    return True
