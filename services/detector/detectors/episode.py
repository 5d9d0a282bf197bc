"""Episodes: when a series becomes strange, whether that lasts, and when it is usual again.

A sample is strange when it is stranger than one in all that its series has sent. Strange samples
are kept apart: nothing is learnt from them, so the one after them is judged against the usual, and
a second fault is as strange as the first. One or two alone are noise and learnt when they are over.
What lasts longer than `LASTS` samples is how the series is from now on; the way back from there is
no fault. A thing like one that lasted before, or the third within some days, is learnt at once.

An episode begins with a strange sample after `CALM` usual ones and ends with the `CALM`-th usual
one, or when what it brought stays.
Cost: O(1), 44 bytes.
Weakness: while a new level is kept apart, some twenty samples, only something stranger is heard.

>>> state = np.zeros(1, STATE)[0]
>>> begin(state)
>>> steps = [step(state, strange, 5.0, 1.0, 1000, 0.001) for strange in (0.0, 9.0, 9.0, 9.0, 0.0)]
>>> [(KEEP_APART, LEARN)[step.learn == LEARN] == KEEP_APART for step in steps]
[False, True, True, True, False]
>>> [each.onset for each in steps], step(state, 0.0, 1.0, 1.0, 1000, 0.001).end == USUAL_AGAIN
([False, True, False, False, False], True)
"""

import math
from typing import Final, NamedTuple

import numpy as np

from services.detector.detectors.jit import kernel

CALM: Final = 2
"""Usual samples in a row that end an episode."""
SPIKE: Final = 2
"""Strange samples that are noise when they stand alone."""
LASTS: Final = 20
"""Strange samples after which they are the new usual; in a young series a tenth of all so far."""
REPEAT_DAYS: Final = 1.5
"""Half-life of the count of lasting episodes."""
REPEATS: Final = 2.5
"""Recent episodes beyond which the next one is learnt at once."""
LATER_DAYS: Final = 1.0 / 3.0
MONTH_DAYS: Final = 30.0
"""A thing like one that is older than the first and younger than the second comes again."""
LIKE: Final = 0.5
"""Values are alike when they differ by less than this share of their distance from the usual."""

LEARN: Final = 0
KEEP_APART: Final = 1
LEARN_SPIKE: Final = 2
"""First what was kept apart, then the sample."""
NEW_LEVEL: Final = 3
"""The sample begins a new usual."""

GOES_ON: Final = 0
USUAL_AGAIN: Final = 1
STAYS: Final = 2

STATE: Final = np.dtype(
    [
        ("kept", np.float64, (SPIKE,)),
        ("like", np.float32, (2,)),
        ("like_days", np.float32, (2,)),
        ("repeats", np.float32),
        ("strange", np.uint16),
        ("calm", np.uint8),
        ("known", np.uint8),
    ],
    align=True,
)
"""Spikes kept apart; of the last lasting episode downwards and upwards its value and age; how many
lasted lately; strange samples of the episode and usual ones since; whether it is learnt."""


class Step(NamedTuple):
    """What a sample is to its series.

    Attributes:
        onset: it begins an episode.
        lasting: it is strange and not the first of its episode.
        learn: what is to be learnt.
        end: whether and how an episode ends with it.
    """

    onset: bool
    lasting: bool
    learn: int
    end: int


@kernel
def begin(state: np.void) -> None:
    """Before the first sample: nothing has lasted yet."""
    state["like_days"][0] = state["like_days"][1] = 1e9


@kernel
def is_strange(strangeness: float, count: int) -> bool:
    """Whether a sample after `count` others is stranger than one in all of them."""
    return strangeness >= math.log10(count + 1.0)


@kernel
def step(
    state: np.void, strangeness: float, value: float, usual: float, count: int, days: float
) -> Step:
    """Takes a sample that comes `days` after the last, after `count` others."""
    state["like_days"][0] += days
    state["like_days"][1] += days
    state["repeats"] *= 2.0 ** (days / -REPEAT_DAYS)
    if is_strange(strangeness, count):
        return _go_on(state, value, usual, count)
    return _calm_down(state)


@kernel
def _go_on(state: np.void, value: float, usual: float, count: int) -> Step:
    onset = state["strange"] == 0 or state["calm"] >= CALM
    side = 1 if value > usual else 0
    alike = abs(value - state["like"][side]) <= LIKE * abs(state["like"][side] - usual)
    if onset:
        state["strange"] = 0
        again = alike and LATER_DAYS < state["like_days"][side] < MONTH_DAYS
        state["known"] = again or state["repeats"] > REPEATS
    lasts = not (state["strange"] < LASTS and state["strange"] < 0.1 * count)
    state["calm"] = 0
    state["strange"] = min(state["strange"] + 1, 60_000)
    learn, end = LEARN, GOES_ON
    if not state["known"] and lasts:
        state["known"] = 1
        learn, end = NEW_LEVEL, STAYS
    elif not state["known"]:
        learn = KEEP_APART
        _keep(state, value, side, alike)
    if state["strange"] == 2:
        state["repeats"] += 1.0
    return Step(onset, state["strange"] >= 2, learn, end)


@kernel
def _keep(state: np.void, value: float, side: int, alike: bool) -> None:
    if state["strange"] <= SPIKE:
        state["kept"][state["strange"] - 1] = value
    elif state["strange"] == SPIKE + 1 and not (alike and state["like_days"][side] < MONTH_DAYS):
        state["like"][side], state["like_days"][side] = value, 0.0


@kernel
def _calm_down(state: np.void) -> Step:
    learn, end = LEARN, GOES_ON
    state["calm"] = min(state["calm"] + 1, 200)
    if state["calm"] == 1 and 0 < state["strange"] <= SPIKE and not state["known"]:
        learn = LEARN_SPIKE
    if state["calm"] == CALM and state["strange"] > 0:
        end = USUAL_AGAIN
    if state["calm"] >= CALM:
        state["strange"] = 0
    return Step(False, False, learn, end)
