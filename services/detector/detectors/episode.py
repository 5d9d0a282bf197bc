"""One alert per episode, fatigue, and the noise budget.

An episode lasts until the tension has sunk to 1.5 % of its crest, some six hours after the last
comparable sample; within it only a new peak speaks. A peak speaks the softer, the further it
stays below the highest peak of the series' last weeks (half-life 30 days).

The budget is kept twice. A bar that every alert raises and time lowers settles where alerts come as
often as accepted, so that the strong ones speak. And each alert costs a coin of a purse that gets
as many as accepted and holds four weeks' worth. It starts empty, or the first novelty of a young
series would cost it the alert of its first fault. Only a peak nearly as strange as any sample can
be at that age may take coins in advance, at most two. So there are never more than accepted, and
two.
What people do not want to hear (`least`) stays silent and costs nothing.
Cost: O(1), 28 bytes.
Weakness: a second fault that starts within hours of a larger one stays silent; so does, in a young
series, one that is not much stranger than its noise.

>>> state = np.zeros(1, STATE)[0]
>>> [round(speak(state, strange, tension, 60_000.0, 0.0, 0.0), 2)
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
WEEKS_HELD, ADVANCE = 4.0, 2.0
"""What a purse holds, in weeks; how many coins it may owe."""
NEARLY = 1.7
"""Of 2 log10(samples), which is about as strange as one new in every context can be."""
FULL = 2**32 - 1
STATE = np.dtype(
    [
        ("tired_days", np.float32),
        ("peak", np.float32),
        ("crest", np.float32),
        ("habit", np.float32),
        ("coins", np.float32),
        ("bar", np.float32),
        ("seen", np.uint32),
    ],
    align=True,
)


@kernel
def speak(
    state: np.void,
    strangeness: float,
    tension: float,
    elapsed_ms: float,
    per_week: float,
    least: float,
) -> float:
    """Strength of the alert that this sample gives, 0 when it opens or raises no episode.

    Negative when it stays silent because its score, strength / (1 + strength), is at most `least`.
    """
    _pass_time(state, elapsed_ms, per_week)
    state["seen"] += state["seen"] < FULL
    if tension < OVER * state["crest"]:
        state["peak"], state["crest"] = 0.0, 0.0
    state["crest"] = max(state["crest"], tension)
    if strangeness <= state["peak"]:
        return 0.0
    state["peak"] = strangeness
    share = _share_of_habit(state, strangeness)
    strength: float = strangeness * share**FATIGUE
    if strength <= least * (1.0 + strength):
        return -strength
    return strength if _pays(state, strength, per_week) else 0.0


@kernel
def _pass_time(state: np.void, elapsed_ms: float, per_week: float) -> None:
    state["tired_days"] += elapsed_ms / DAY_MS
    coins = per_week * elapsed_ms / (7.0 * DAY_MS)
    state["bar"] = max(state["bar"] - STEP * coins, LOWEST)
    state["coins"] = min(state["coins"] + coins, max(WEEKS_HELD * per_week, 1.0))


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
    extreme = strength >= NEARLY * math.log10(state["seen"] + 1.0)
    least = 1.0 - ADVANCE if extreme else 1.0
    if state["coins"] < least or math.log2(strength) < state["bar"]:
        return False
    state["coins"] -= 1.0
    state["bar"] += STEP
    return True
