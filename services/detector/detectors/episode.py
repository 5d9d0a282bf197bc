"""One alert per episode, fatigue, and the noise budget.

An episode lasts until nothing of at least a third of its peak was seen for `quiet_days`; within it
only a new peak speaks. A peak speaks the softer, the further it stays below the highest peak of the
series' last weeks (half-life 30 days). The budget is a purse that fills with time and holds one
week's alerts, at least one: every alert costs one coin, and the emptier the purse, the closer to
the highest peak an alert must come.
Cost: O(1), 24 bytes.
Weakness: a second fault that starts within hours of a larger one stays silent.
"""

import numpy as np

from services.detector.detectors.jit import kernel

DAY_MS = 86_400_000.0
FATIGUE_DAYS = 30.0
SHARE = 0.3
STATE = np.dtype(
    [
        ("tired_ms", np.float64),
        ("quiet_ms", np.float32),
        ("peak", np.float32),
        ("habit", np.float32),
        ("purse", np.float32),
    ],
    align=True,
)


@kernel
def speak(state, strangeness, elapsed_ms, quiet_days, per_week):  # type: ignore[no-untyped-def]
    """Strength of the alert that this sample gives, 0 when it opens or raises no episode."""
    _pass_time(state, elapsed_ms, per_week)
    if state["quiet_ms"] > quiet_days * DAY_MS:
        state["peak"] = 0.0
    if strangeness <= 0.0:
        return 0.0
    if strangeness >= SHARE * state["peak"]:
        state["quiet_ms"] = 0.0
    if strangeness <= state["peak"]:
        return 0.0
    state["peak"] = strangeness
    return _pay(state, strangeness, _tire(state, strangeness), per_week)


@kernel
def _pass_time(state, elapsed_ms, per_week):  # type: ignore[no-untyped-def]
    state["quiet_ms"] += elapsed_ms
    state["tired_ms"] += elapsed_ms
    coins = state["purse"] + per_week * elapsed_ms / (7.0 * DAY_MS)
    state["purse"] = min(coins, max(per_week, 1.0))


@kernel
def _tire(state, strangeness):  # type: ignore[no-untyped-def]
    """Softens a peak below the habit; returns its share of the highest recent peak."""
    habit = state["habit"] * 0.5 ** (state["tired_ms"] / (FATIGUE_DAYS * DAY_MS))
    state["habit"] = max(habit, strangeness)
    state["tired_ms"] = 0.0
    return strangeness / max(habit, strangeness)


@kernel
def _pay(state, strangeness, share, per_week):  # type: ignore[no-untyped-def]
    if per_week > 0.0:
        full = max(per_week, 1.0)
        if state["purse"] < 1.0 or share < 1.0 - state["purse"] / full:
            return 0.0
        state["purse"] -= 1.0
    return strangeness * np.sqrt(share)
