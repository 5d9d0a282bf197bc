"""How good a forest is: injected anomalies, alarms that people judged, drift of its scores.

Injected: anomalies of four kinds are put into stored series, and into made-up ones where there are
too few; measured is the average precision of the raw score, and for people how many of them are
heard within the usual noise budget. Forests are compared on the same material.
Judged: the probability that an alarm judged true is stranger than one judged false.
Drift: the population stability index of live strangeness against that of the training rows.
Weakness: what is abnormal in stored series by itself counts against every forest; judged alarms are
only those that were raised.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.detector.detectors.engine import Engine, Forest, Scores
from services.detector.detectors.grid import LIMIT
from services.detector.detectors.simulation import series

SERIES, SAMPLES, PER_DAY = 36, 1500, 288
"""Series side by side, and of a made-up one how many samples and how many a day."""
BEFORE, SAMPLES_MIN = 300, 500
"""Samples of a series before the first injected anomaly, and how many it needs."""
PER_SERIES, LENGTH = 3, 12
LATE = 2
"""Samples after its end within which an injected anomaly is still heard."""
BUDGET = 4.0
"""False alarms per series and week among which injected anomalies must be heard: the default."""
WEEK_MS = 604_800_000
JUDGED_MIN = 5
MARGIN = 0.005
"""A forest is better when its score is higher by more than this."""
BINS, LOWEST_LOG2 = 24, -8
PSI_SAMPLES_MIN = 5000

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Track(NamedTuple):
    """Samples of one series, oldest first: int64[samples], float64[samples]."""

    timestamps_ms: I64
    values: F64


class Material(NamedTuple):
    """Series after series, one entry per sample, and what was injected where."""

    rows: I32
    timestamps_ms: I64
    values: F64
    injected: Flags


def made_up(count: int, seed: int = 0) -> list[Track]:
    """Made-up series of `SAMPLES` samples; the same for a seed."""
    times = np.arange(SAMPLES, dtype=np.int64) * (86_400_000 // PER_DAY)
    first = 9_000 + seed * SERIES
    return [Track(times, series(first + index, SAMPLES, PER_DAY)) for index in range(count)]


def material(tracks: Sequence[Track], seed: int = 0) -> Material:
    """The tracks with `PER_SERIES` injected anomalies each; the same for the same and a seed.

    Raises:
        ValueError: a track of fewer than `SAMPLES_MIN` samples.
    """
    random = np.random.default_rng(seed)
    values = [np.clip(track.values, -LIMIT, LIMIT) for track in tracks]
    injected = [np.zeros(len(each), dtype=np.bool_) for each in values]
    for row, marks in zip(values, injected, strict=True):
        if len(row) < SAMPLES_MIN:
            raise ValueError(f"a track needs at least {SAMPLES_MIN} samples, got {len(row)}")
        spread = _spread(row)
        for number in range(PER_SERIES):
            part = (len(row) - BEFORE) // PER_SERIES
            start = BEFORE + number * part + int(random.integers(0, part - LENGTH))
            marks[_inject(row, start, spread, int(random.integers(4)), random)] = True
    return Material(
        rows=np.repeat(np.arange(len(values), dtype=np.int32), [len(each) for each in values]),
        timestamps_ms=np.concatenate([track.timestamps_ms for track in tracks]),
        values=np.concatenate(values),
        injected=np.concatenate(injected),
    )


def _spread(row: F64) -> float:
    """How far the series usually goes; of one that hardly moves, a hundredth of its height."""
    usual = float(np.subtract(*np.percentile(row, [90, 10])))
    return max(usual, 0.01 * abs(float(np.median(row))), 1e-9)


def _inject(row: F64, start: int, spread: float, kind: int, random: np.random.Generator) -> slice:
    place = slice(start, start + (1 if kind == 0 else LENGTH))
    size = spread * float(random.uniform(1.5, 4.0)) * float(random.choice([-1.0, 1.0]))
    if kind in (0, 1):
        row[place] += size
    elif kind == 2:
        row[place] = row[start]
        row[place] += 1.5 * spread
    else:
        row[place] += size * random.normal(0.0, 1.0, LENGTH)
    return place


def scored(forest: Forest, made: Material) -> Scores:
    """What an engine with that forest says of the material, which it sees for the first time."""
    engine = Engine(forest=forest)
    engine.add_series(int(made.rows[-1]) + 1)
    return engine.process(made.rows, made.timestamps_ms, made.values)


def injected_precision(scores: Scores, made: Material) -> float:
    """Average precision of the raw score on the injected samples, in [0, 1]."""
    known = np.isfinite(scores.raw)
    return average_precision(scores.raw[known], made.injected[known])


def count_detected(scores: Scores, made: Material) -> int:
    """How many injected anomalies are among the loudest alarms, `BUDGET` others a week allowed."""
    alert = scores.alert
    edges = np.diff(made.injected.astype(np.int8), prepend=0, append=0)
    begun, ended = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0) + LATE
    loudest, others = list[float](), alert.copy()
    for start, stop in zip(begun, ended, strict=True):
        loudest.append(float(alert[start:stop].max()))
        others[start:stop] = 0.0
    steps = np.diff(made.timestamps_ms)
    weeks = float(steps[steps > 0].sum()) / WEEK_MS
    accepted = int(BUDGET * weeks)
    least = float(np.sort(others)[::-1][accepted]) if accepted < len(others) else 0.0
    return sum(each > least for each in loudest)


def average_precision(scores: F64, positive: Flags) -> float:
    """Mean of the precision at each positive, best first; ties count as their worst order.

    >>> average_precision(np.array([0.9, 0.8, 0.1]), np.array([True, False, True]))
    0.8333333333333333
    """
    order = np.lexsort((positive, -scores))
    hits = positive[order]
    if not hits.any():
        return 0.0
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def separation(forest: Forest, true_alarms: F32, false_alarms: F32) -> float | None:
    """Probability that a true alarm is stranger than a false one; None with too few of either."""
    if min(len(true_alarms), len(false_alarms)) < JUDGED_MIN:
        return None
    engine = Engine(forest=forest)
    true, false = engine.strangeness(true_alarms), engine.strangeness(false_alarms)
    wins = (true[:, None] > false[None, :]) + 0.5 * (true[:, None] == false[None, :])
    return float(wins.mean())


def histogram(strangeness: F64) -> I64:
    """Counts in `BINS` half-octave bins from 2**-8 on; the first and the last are open."""
    with np.errstate(divide="ignore"):
        places = 2.0 * (np.log2(np.maximum(strangeness, 1e-30)) - LOWEST_LOG2)
    return np.bincount(np.clip(places, 0, BINS - 1).astype(np.int64), minlength=BINS)


def drift(live: F64, reference: F64) -> float | None:
    """Population stability index; None before enough live samples. Above 0.25 counts as drift.

    >>> calm = np.full(BINS, 1000.0)
    >>> drift(calm, calm), round(drift(np.roll(np.arange(BINS) * 1000.0, 5), calm), 1) > 0.25
    (0.0, True)
    """
    if live.sum() < PSI_SAMPLES_MIN or reference.sum() == 0:
        return None
    p, q = (live + 0.5) / (live + 0.5).sum(), (reference + 0.5) / (reference + 0.5).sum()
    return float(((p - q) * np.log(p / q)).sum())
