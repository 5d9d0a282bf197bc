"""A batch through the engine, in blocks of samples of different series.

Within a block all samples are met, then all pass through the forest, side by side, and then each is
judged and learnt: nothing that a sample changes concerns another one of the block, so it is as if
they had come one by one.
"""

import math

import numpy as np

from services.detector.detectors import absence, forest, grid, kinds, step
from services.detector.detectors.jit import kernel
from services.detector.detectors.step import Column, Rows, States, Times


@kernel
def process(
    series: States,
    blank: States,
    rows: Rows,
    times: Times,
    local_ms: Times,
    values: Column,
    arrived_ms: Times,
    warm_up: int,
    trees: forest.Trees,
    asked: step.Asked,
    found: step.Found,
    room: step.Room,
) -> None:
    """Scores and learns samples in order; `blank` is one series that has seen nothing.

    `local_ms` is what the clock on the wall shows at `times`. Samples of different series go side
    by side, a block at a time: eight pass through one tree in the time of four.
    """
    start = 0
    while start < rows.shape[0]:
        stop = _end_of_block(rows, start)
        for i in range(start, stop):
            k, s = i - start, series[rows[i]]
            room.taken[k] = math.isfinite(values[i]) and not (
                s["seen"] and times[i] <= s["clock"]["last_ms"]
            )
            if room.taken[k]:
                room.x[k], room.taken[k] = _take(
                    series, blank, rows[i], times[i], values[i], arrived_ms[i], found, i
                )
            if room.taken[k]:
                step.meet_first(s, room.x[k], local_ms[i], warm_up, found, i, room, k)
        if trees.size > 0:
            forest.strangeness(trees, found.features[start:stop], room.rows, room.strange)
        for i in range(start, stop):
            if room.taken[i - start]:
                step.settle(
                    series[rows[i]], rows[i], local_ms[i], trees, asked, found, i, room, i - start
                )
        start = stop


@kernel
def _end_of_block(rows: Rows, start: int) -> int:
    """From `start` to before this place no series comes twice."""
    stop, highest = min(start + step.BLOCK, len(rows)), rows[start]
    for i in range(start + 1, stop):
        if rows[i] > highest:
            highest = rows[i]
            continue
        for earlier in range(start, i):
            if rows[earlier] == rows[i]:
                return i
    return stop


@kernel
def _take(
    series: States,
    blank: States,
    row: int,
    time_ms: int,
    value: float,
    arrived_ms: int,
    found: step.Found,
    i: int,
) -> tuple[float, bool]:
    """Moves the clock; what is to be scored of the sample, and whether it is."""
    s = series[row]
    x, what = min(max(value, -grid.LIMIT), grid.LIMIT), kinds.GO
    if s["seen"]:
        found.elapsed_ms[i] = float(time_ms) - float(s["clock"]["last_ms"])
        _end_silence(s, float(arrived_ms), found.elapsed_ms[i], found.silence[i])
        level = s["level"] if s["clock"]["count"] > 0 else -1.0
        x, what = kinds.follow(s["kind"], x, found.elapsed_ms[i] / 1000.0, level)
    else:
        s["seen"] = 1
        kinds.begin(s["kind"], x)
        if kinds.is_counter(s["kind"]):
            what = kinds.SKIP
    s["absence"]["delay_ms"] = float(arrived_ms) - float(time_ms)
    s["clock"]["last_ms"] = time_ms
    if what == kinds.START_OVER:
        step.start_over(s, blank[0])
    found.value[i] = x
    return min(max(x, -grid.LIMIT), grid.LIMIT), what != kinds.SKIP


@kernel
def _end_silence(s: np.void, arrived_ms: float, elapsed_ms: float, out: Column) -> None:
    state, last_ms = s["absence"], np.float64(s["clock"]["last_ms"])
    quiet_ms = max(arrived_ms - (last_ms + state["delay_ms"]), 0.0)
    second_ms = np.float64(state["second_ms"])
    out[0], out[1] = quiet_ms, absence.patience_ms(second_ms)
    out[2], out[3] = second_ms, np.float64(state["delay_ms"])
    out[4] = 1.0 if s["loudness"]["open"] else 0.0
    absence.learn(state, max(quiet_ms, elapsed_ms))
