"""How loud to be about a sample: strength, fatigue, and the noise budget.

The strength of an alarm is the strangeness of its sample, half of it as long as one sample is all
there is, and weaker the further it stays below the strangest of the last weeks and the more
episodes lasted lately. Within an episode only what is stronger by `RAISE` speaks again. What begins
no episode speaks when it is stranger than all until the tension has sunk to 1.5 % of its crest.

A warning is also rare for its series: where its raw score is below `RARE`, as of a young series
that has not seen a whole day yet, it stays just below a warning.

The budget has two purses. Warnings, strengths from `WARNING`, get as many coins a week as alarms
are accepted, and may owe three. Weaker ones get a sixteenth of that, owe nothing, and must pass a
bar that each raises and time lowers, so that the loudest speak. Neither ever spends the other's. An
episode that was announced is announced again only when it worsens from below a warning to a
warning, or from there to critical.
What people do not want to hear (`least`) stays silent and costs nothing.
Cost: O(1), 36 bytes.
Weakness: the fourth of several faults within days is announced softly.

>>> state = np.zeros(1, STATE)[0]
>>> onset, lasting = Step(True, False, 0, 0), Step(False, True, 0, 0)
>>> [round(speak(state, 8.0, 8.0, each, 0.0, 0.001, 0.0, 0.0, 0.99), 1)
...  for each in (onset, lasting, lasting)]
[5.0, 10.0, 0.0]
"""

import math
from typing import Final

import numpy as np

from services.detector.detectors.episode import Step
from services.detector.detectors.jit import kernel

GAIN: Final = 1.25
SINGLE: Final = 0.5
"""What a sample counts for while it is alone."""
RAISE: Final = 1.2
OVER: Final = 0.015
HABIT_DAYS: Final = 30.0
HABIT: Final = 0.25
"""Half-life of the strangest so far, and the power of an alarm's share of it."""
TIRING: Final = 3.0
"""Recent lasting episodes that halve the strength."""
WARNING: Final = 4.0
"""Strength of a warning: the alert score is strength / (1 + strength)."""
CRITICAL: Final = 19.0
RARE: Final = 0.96
ALMOST: Final = 3.76
"""Strength just below a warning: an alert score of 0.79."""
OWED: Final = 3.0
WEEKS_HELD: Final = 4.0
"""Coins that warnings may owe; what a purse holds, in weeks."""
SMALL: Final = 1.0 / 16.0
"""The share of the budget that is for what is weaker than a warning."""
RISE: Final = 1.0
LOWEST: Final = -6.0
"""What a weak alarm adds to the bar, and where the bar stops falling; log2 of strength."""

STAYS: Final = 2
"""In the place of `open`: what was announced stays, and is over with the next sample."""

STATE: Final = np.dtype(
    [
        ("announced", np.float32),
        ("peak", np.float32),
        ("crest", np.float32),
        ("habit", np.float32),
        ("habit_days", np.float32),
        ("coins", np.float32),
        ("small_coins", np.float32),
        ("bar", np.float32),
        ("severity", np.uint8),
        ("open", np.uint8),
    ],
    align=True,
)


@kernel
def speak(
    state: np.void,
    strangeness: float,
    tension: float,
    step: Step,
    repeats: float,
    days: float,
    per_week: float,
    least: float,
    raw: float,
) -> float:
    """Strength of the alarm that this sample, of this raw score, raises; 0 for none.

    Negative when it stays silent because its score, strength / (1 + strength), is at most `least`.
    """
    _pass_time(state, days, per_week)
    if tension < OVER * state["crest"]:
        state["peak"], state["crest"] = 0.0, 0.0
    state["crest"] = max(state["crest"], tension)
    evidence = strangeness if step.lasting else SINGLE * strangeness
    if not _is_new(state, evidence, step):
        return 0.0
    strength: float = GAIN * evidence * _share_of_habit(state, evidence) ** HABIT
    strength /= 1.0 + (repeats / TIRING) ** 2
    if raw < RARE:
        strength = min(strength, ALMOST)
    if strength <= least * (1.0 + strength):
        return -strength
    if per_week > 0.0 and not _pays(state, strength, step):
        return 0.0
    return strength


@kernel
def warn(state: np.void, per_week: float, least: float) -> float:
    """Strength of a warning that no episode raises: 0 without a coin, negative as in `speak`."""
    if least * (1.0 + WARNING) >= WARNING:
        return -WARNING
    if per_week > 0.0 and not _takes_coin(state):
        return 0.0
    return WARNING


@kernel
def _takes_coin(state: np.void) -> bool:
    if state["coins"] < 1.0 - OWED:
        return False
    state["coins"] -= 1.0
    return True


@kernel
def _pass_time(state: np.void, days: float, per_week: float) -> None:
    coins = per_week * days / 7.0
    state["habit_days"] += days
    state["bar"] = max(state["bar"] - RISE * SMALL * coins, LOWEST)
    state["coins"] = min(state["coins"] + coins, max(WEEKS_HELD * per_week, 1.0))
    held = max(WEEKS_HELD * SMALL * per_week, 1.0)
    state["small_coins"] = min(state["small_coins"] + SMALL * coins, held)


@kernel
def _is_new(state: np.void, evidence: float, step: Step) -> bool:
    """Whether this is more than was announced of the episode, or of the hours before."""
    if step.onset:
        state["announced"] = 0.0
    before = state["announced"] if step.onset or step.lasting else state["peak"]
    if evidence <= RAISE * before:
        return False
    if step.onset or step.lasting:
        state["announced"] = evidence
    state["peak"] = max(state["peak"], evidence)
    return True


@kernel
def _share_of_habit(state: np.void, evidence: float) -> float:
    """The evidence as a share of the strongest of the last weeks, itself included."""
    habit = state["habit"] * 2.0 ** (state["habit_days"] / -HABIT_DAYS)
    state["habit"] = max(habit, evidence)
    state["habit_days"] = 0.0
    share: float = evidence / max(habit, evidence)
    return share


@kernel
def _pays(state: np.void, strength: float, step: Step) -> bool:
    """Whether the budget lets an alarm of this strength speak; takes its coin."""
    if step.onset:
        state["severity"] = 0
    severity = 1 + (strength >= WARNING) + (strength >= CRITICAL)
    if step.lasting and severity <= state["severity"]:
        return False
    if severity > 1:
        if not _takes_coin(state):
            return False
    else:
        if state["small_coins"] < 1.0 or math.log2(strength) < state["bar"]:
            return False
        state["small_coins"] -= 1.0
        state["bar"] += RISE
    state["severity"] = severity
    return True
