"""The two passes over a batch: what is new about each sample, then how loud to be about it."""

import math
from collections import namedtuple

import numpy as np

from services.detector.detectors import (
    change, episode, grid, hour, novelty, offset, pattern, run, sequence, tension, value, weekend,
)  # fmt: skip
from services.detector.detectors.jit import kernel

FEATURES = ("value", "change", "offset", "hour", "weekend", "sequence", "pattern", "run")
Sample = namedtuple("Sample", "value last before change offset hour weekend")
SMOOTHING = 1.0 - 0.5 ** (1.0 / 20.0)
HOURS_MS, DAY_MS = 10_800_000, 86_400_000


@kernel
def measure(series, rows, times, values, warm_up, features, low, high, ready, elapsed):  # type: ignore[no-untyped-def]
    """First pass: features and expected range of each sample that can be scored; learns it."""
    for i in range(rows.shape[0]):
        s = series[rows[i]]
        clock = s["clock"]
        if not math.isfinite(values[i]) or (clock["count"] > 0 and times[i] <= clock["last_ms"]):
            continue
        x = min(max(values[i], -grid.LIMIT), grid.LIMIT)
        if clock["count"] == 0:
            s["last"], s["before"], s["smooth"] = x, x, x
        sample = _sample(s, x, times[i])
        if clock["count"] >= warm_up:
            ready[i] = True
            elapsed[i] = times[i] - clock["last_ms"]
            _score(s, sample, features[i])
            low[i], high[i] = _expect(s)
        _learn(s, sample, x, times[i])


@kernel
def _sample(s, x, time_ms):  # type: ignore[no-untyped-def]
    return Sample(
        grid.cell(s["value_grid"], x),
        grid.cell(s["value_grid"], s["last"]),
        grid.cell(s["value_grid"], s["before"]),
        grid.cell(s["change_grid"], x - s["last"]),
        grid.cell(s["offset_grid"], x - s["smooth"]),
        (time_ms % DAY_MS) // HOURS_MS,
        1 if (time_ms // DAY_MS + 3) % 7 >= 5 else 0,
    )


@kernel
def _score(s, sample, out):  # type: ignore[no-untyped-def]
    out[0] = value.score(s["value"], sample)
    out[1] = change.score(s["change"], sample)
    out[2] = offset.score(s["offset"], sample)
    out[3] = hour.score(s["hour"], sample)
    out[4] = weekend.score(s["weekend"], sample)
    out[5] = sequence.score(s["sequence"], sample)
    out[6] = pattern.score(s["pattern"], sample)
    out[7] = run.score(s["run"], sample)


@kernel
def _learn(s, sample, x, time_ms):  # type: ignore[no-untyped-def]
    value.learn(s["value"], sample)
    change.learn(s["change"], sample)
    offset.learn(s["offset"], sample)
    hour.learn(s["hour"], sample)
    weekend.learn(s["weekend"], sample)
    sequence.learn(s["sequence"], sample)
    pattern.learn(s["pattern"], sample)
    run.learn(s["run"], sample)
    _learn_grids(s, x)
    s["clock"]["last_ms"] = time_ms
    s["clock"]["count"] += 1


@kernel
def _learn_grids(s, x):  # type: ignore[no-untyped-def]
    count = s["clock"]["count"]
    steps = grid.learn(s["value_grid"], x, count)
    if steps != 0:
        novelty.rescale(s["value"], value.SIZES, steps)
        novelty.rescale(s["hour"], hour.SIZES, steps)
        novelty.rescale(s["weekend"], weekend.SIZES, steps)
        novelty.rescale(s["sequence"], sequence.SIZES, steps)
        novelty.rescale(s["pattern"], pattern.SIZES, steps)
        run.rescale(s["run"], steps)
    steps = grid.learn(s["change_grid"], x - s["last"], count)
    if steps != 0:
        novelty.rescale(s["change"], change.SIZES, steps)
    steps = grid.learn(s["offset_grid"], x - s["smooth"], count)
    if steps != 0:
        novelty.rescale(s["offset"], offset.SIZES, steps)
    s["before"] = s["last"]
    s["last"] = x
    s["smooth"] += max(SMOOTHING, 1.0 / (count + 1.0)) * (x - s["smooth"])


@kernel
def _expect(s):  # type: ignore[no-untyped-def]
    change_spread, offset_spread = float(s["change_grid"]["spread"]), float(s["offset_grid"]["spread"])
    if change_spread < offset_spread:
        middle, reach = s["last"] + s["change_grid"]["mean"], 3.0 * change_spread
    else:
        middle, reach = s["smooth"] + s["offset_grid"]["mean"], 3.0 * offset_spread
    return middle - reach, middle + reach


@kernel
def judge(series, rows, elapsed_ms, strangeness, ready, quiet_days, per_week, raw, alert):  # type: ignore[no-untyped-def]
    """Second pass: raw and alert scores from the forest's verdict on each sample."""
    for i in range(rows.shape[0]):
        if ready[i]:
            s = series[rows[i]]
            raw[i] = tension.rank(s["tension"], strangeness[i], elapsed_ms[i])
            alert[i] = episode.speak(
                s["episode"], strangeness[i], elapsed_ms[i], quiet_days, per_week
            )
