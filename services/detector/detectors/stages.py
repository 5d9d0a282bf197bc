"""The two passes over a batch: what is new about each sample, then how loud to be about it."""

import math

import numpy as np
import numpy.typing as npt

from services.detector.detectors import (
    absence,
    change,
    daytime,
    episode,
    grid,
    offset,
    pattern,
    run,
    sequence,
    tension,
    weekend,
)
from services.detector.detectors.jit import kernel
from services.detector.detectors.sample import Sample

RECENT = 1.0 - 0.5 ** (1.0 / 20.0)
"""Weight of a new sample in the recent level: half-life 20 samples."""
QUARTER_MS, DAY_MS = 21_600_000, 86_400_000
REACH = 3.0
"""Half-width of the expected range in spreads."""

Rows = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]
Column = npt.NDArray[np.float64]
Factors = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Features = npt.NDArray[np.float32]
States = npt.NDArray[np.void]


@kernel
def measure(
    series: States,
    rows: Rows,
    times: Times,
    values: Column,
    arrived_ms: Times,
    warm_up: int,
    features: Features,
    expected: Column,
    ready: Flags,
    elapsed_ms: Column,
    silence: Column,
) -> None:
    """First pass: features and expected range of each sample that can be scored; learns it.

    `silence` gets what `Scores.silence_ms` tells.
    """
    for i in range(rows.shape[0]):
        s = series[rows[i]]
        count, last_ms = s["clock"]["count"], s["clock"]["last_ms"]
        if not math.isfinite(values[i]) or (count > 0 and times[i] <= last_ms):
            continue
        x = min(max(values[i], -grid.LIMIT), grid.LIMIT)
        if count == 0:
            s["last"], s["before"], s["level"] = x, x, x
        else:
            elapsed_ms[i] = float(times[i]) - float(last_ms)
            _end_silence(s, float(arrived_ms[i]), silence[i])
        sample = _sample(s, x, times[i])
        if count >= warm_up:
            ready[i] = True
            _score(s, sample, features[i])
            expected[i, 0], expected[i, 1] = _expect(s)
        _learn(s, sample)
        _learn_signals(s, x, count)
        s["absence"]["delay_ms"] = float(arrived_ms[i]) - float(times[i])
        s["clock"]["last_ms"] = times[i]
        s["clock"]["count"] = min(count + 1, 4294967295)


@kernel
def judge(
    series: States,
    rows: Rows,
    elapsed_ms: Column,
    strangeness: Column,
    ready: Flags,
    per_week: float,
    least: Column,
    allowance: Factors,
    raw: Column,
    alert: Column,
) -> None:
    """Second pass: raw score and strength of the alert of each sample that can be scored.

    `least` has the alert score that must be passed, by row; strengths of those that do not are
    negative. `allowance` is by how many times the budget is larger.
    """
    for i in range(rows.shape[0]):
        if ready[i]:
            s = series[rows[i]]
            raw[i] = tension.rank(s["tension"], strangeness[i], elapsed_ms[i])
            alert[i] = episode.speak(
                s["episode"],
                strangeness[i],
                s["tension"]["level"],
                elapsed_ms[i],
                per_week * allowance[rows[i]],
                least[rows[i]],
            )


@kernel
def _end_silence(s: np.void, arrived_ms: float, out: Column) -> None:
    state, last_ms = s["absence"], np.float64(s["clock"]["last_ms"])
    quiet_ms = max(arrived_ms - (last_ms + state["delay_ms"]), 0.0)
    second_ms = np.float64(state["second_ms"])
    out[0], out[1] = quiet_ms, absence.patience_ms(second_ms)
    out[2], out[3] = second_ms, np.float64(state["delay_ms"])
    absence.learn(state, quiet_ms)


@kernel
def _sample(s: np.void, x: float, time_ms: int) -> Sample:
    return Sample(
        grid.cell(s["value_grid"], x),
        grid.cell(s["value_grid"], s["last"]),
        grid.cell(s["value_grid"], s["before"]),
        grid.cell(s["change_grid"], x - s["last"]),
        grid.cell(s["offset_grid"], x - s["level"]),
        (time_ms % DAY_MS) // QUARTER_MS,
        1 if (time_ms // DAY_MS + 3) % 7 >= 5 else 0,
        grid.reach(s["value_grid"]),
        grid.reach(s["change_grid"]),
        grid.reach(s["offset_grid"]),
    )


@kernel
def _score(s: np.void, sample: Sample, out: Features) -> None:
    out[0] = change.score(s["change"], sample)
    out[1] = offset.score(s["offset"], sample)
    out[2] = daytime.score(s["daytime"], sample)
    out[3] = weekend.score(s["weekend"], sample)
    out[4] = sequence.score(s["sequence"], sample)
    out[5] = pattern.score(s["pattern"], sample)
    out[6] = run.score(s["run"], sample)


@kernel
def _learn(s: np.void, sample: Sample) -> None:
    change.learn(s["change"], sample)
    offset.learn(s["offset"], sample)
    daytime.learn(s["daytime"], sample)
    weekend.learn(s["weekend"], sample)
    sequence.learn(s["sequence"], sample)
    pattern.learn(s["pattern"], sample)
    run.learn(s["run"], sample)


@kernel
def _learn_signals(s: np.void, x: float, count: int) -> None:
    steps = grid.learn(s["value_grid"], x, count)
    if steps != 0:
        _rescale_values(s, steps)
    steps = grid.learn(s["change_grid"], x - s["last"], count)
    if steps != 0:
        change.rescale(s["change"], steps)
    steps = grid.learn(s["offset_grid"], x - s["level"], count)
    if steps != 0:
        offset.rescale(s["offset"], steps)
    s["before"] = s["last"]
    s["last"] = x
    s["level"] += max(RECENT, 1.0 / (count + 1.0)) * (x - s["level"])


@kernel
def _rescale_values(s: np.void, steps: int) -> None:
    daytime.rescale(s["daytime"], steps)
    weekend.rescale(s["weekend"], steps)
    sequence.rescale(s["sequence"], steps)
    pattern.rescale(s["pattern"], steps)
    run.rescale(s["run"], steps)


@kernel
def _expect(s: np.void) -> tuple[float, float]:
    """Where the next value should lie: near the last one or near the level, what varies less.

    Never below zero in a series that never was.
    """
    if s["change_grid"]["spread"] < s["offset_grid"]["spread"]:
        middle, spread = (
            s["last"] + s["change_grid"]["mean"],
            np.float64(s["change_grid"]["spread"]),
        )
    else:
        middle, spread = (
            s["level"] + s["offset_grid"]["mean"],
            np.float64(s["offset_grid"]["spread"]),
        )
    floor = 0.0 if s["value_grid"]["lowest"] >= 0.0 else -math.inf
    return max(middle - REACH * spread, floor), max(middle + REACH * spread, floor)
