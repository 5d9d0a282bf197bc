"""What a series is: a gauge, or a counter that only grows and now and then begins again.

A counter is scored as its growth per second, over its own step. The two samples after a reset are
not scored, for nobody knows how far it had counted, or what it is catching up on; of resets that
come fast only the first. A series that was not declared a counter is recognised when it has grown
`GROWTHS` times since it last fell, and then only to less than half, as resets do. If it falls
otherwise `SLIPS` times, of which one is forgiven every `FORGIVEN` samples, it is a gauge after all.
On either change the series starts over. What was declared stays a counter, whatever it does.

The step of a scrape is never even, and a rate over a step that is a tenth too long may be a tenth
too low. So a rate counts as what is nearest to the level so far between the rates over its own step
and over the usual one, where these differ by less than `UNEVEN`; what is longer is a gap. The
spread of a rate counts as `LEAST` of its level at least: one more of a hundred is no event.
Cost: O(1), 16 bytes.
Weakness: a gauge that rises `GROWTHS` times in a row, and falls only to less than half, is taken
for a counter.

>>> state = np.zeros(1, STATE)[0]
>>> begin(state, 0.0)
>>> seen = [follow(state, 10.0 * n, 5.0, 2.0) for n in range(1, 42)]
>>> seen[0], seen[GROWTHS - 1], seen[-1], follow(state, 3.0, 5.0, 2.0)[1] == SKIP
((10.0, 0), (2.0, 2), (2.0, 0), True)
"""

from typing import Final

import numpy as np

from services.detector.detectors.jit import kernel

GAUGE: Final = 0
COUNTER: Final = 1
NO_COUNTER: Final = 2
"""A gauge for good: it has fallen as no counter does."""
DECLARED: Final = 3
"""A counter for good: its name or its sender says so."""

GO: Final = 0
SKIP: Final = 1
START_OVER: Final = 2

GROWTHS: Final = 30
LONG: Final = 3
"""Samples between two resets of a counter that has had the time to catch up."""
SETTLING: Final = 255
"""In the place of `growths`: the sample before was a reset."""
SLIPS: Final = 3
FORGIVEN: Final = 80
RESET: Final = 0.5
"""A counter that begins again is below this share of where it was."""
UNEVEN: Final = 0.5
"""The share of the usual step by which one may be longer or shorter and is no gap."""
LEAST: Final = 0.02
"""The least spread of the rate of a counter, as a share of its level."""
STEP_RATE: Final = 0.05
"""Weight of a new step in the usual one."""

STATE: Final = np.dtype(
    [
        ("prior", np.float64),
        ("step_s", np.float32),
        ("growths", np.uint8),
        ("slips", np.uint8),
        ("kind", np.uint8),
    ],
    align=True,
)
"""The last value, the usual step, growths since it fell, slips times `FORGIVEN`, what it is."""


@kernel
def is_counter(state: np.void) -> bool:
    """Whether growth is scored."""
    return bool(state["kind"] == COUNTER or state["kind"] == DECLARED)


@kernel
def begin(state: np.void, value: float) -> None:
    """Takes the first sample."""
    state["prior"] = value
    if value < 0.0 and state["kind"] != DECLARED:
        state["kind"] = NO_COUNTER


@kernel
def follow(state: np.void, value: float, seconds: float, level: float) -> tuple[float, int]:
    """What is to be scored of the next sample, and `GO`, `SKIP` or `START_OVER`.

    `level` is where the rate of a counter was lately, below zero where nobody knows.
    """
    prior = state["prior"]
    state["prior"] = value
    growth, seconds = value - prior, max(seconds, 1e-3)
    usual = _usual_step(state, seconds)
    if is_counter(state):
        if value >= prior:
            settling = state["growths"] == SETTLING
            state["growths"] = 1 if settling else min(state["growths"] + 1, GROWTHS)
            state["slips"] -= min(state["slips"], 1)
            return _rate(growth, seconds, usual, level), SKIP if settling else GO
        if state["kind"] == DECLARED or 0.0 <= value < RESET * prior:
            state["growths"] = SETTLING if state["growths"] >= LONG else 0
            return 0.0, SKIP
        state["slips"] += FORGIVEN
        if state["slips"] <= (SLIPS - 1) * FORGIVEN:
            return 0.0, SKIP
        state["kind"] = NO_COUNTER
        return value, START_OVER
    if state["kind"] == GAUGE:
        if value > prior:
            state["growths"] += 1
            if state["growths"] >= GROWTHS:
                state["kind"] = COUNTER
                return growth / seconds, START_OVER
        elif value < prior:
            if not (0.0 <= value < RESET * prior and state["growths"] >= 5):
                state["kind"] = NO_COUNTER
            state["growths"] = 0
    return value, GO


@kernel
def _usual_step(state: np.void, seconds: float) -> float:
    """The usual step before this one."""
    usual = np.float64(state["step_s"])
    if usual == 0.0:
        state["step_s"] = seconds
        return seconds
    off = UNEVEN * usual
    state["step_s"] += STEP_RATE * min(max(seconds - usual, -off), off)
    return usual


@kernel
def _rate(growth: float, seconds: float, usual: float, level: float) -> float:
    """Growth per second, as near to the level as an uneven step explains."""
    rate = growth / seconds
    if level < 0.0:
        return rate
    other = growth / usual if abs(seconds - usual) < UNEVEN * usual else rate
    return min(max(level, min(rate, other)), max(rate, other))
