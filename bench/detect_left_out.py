"""Detectors that were tried and left out: the same replay with each as an eighth.

Each measures the novelty of one more signal, with the kernels of the engine. The forest is grown
anew on made-up series, with the new column; the first row is the seven alone, grown alike. What
brings nothing on both collections is not worth its memory and its time.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bench.detect_ablation import Measured, figures_of, measure, novel, product
from bench.detect_corpora import COLLECTIONS, corpora_or_exit, series_of, table
from services.detector.detectors import grid, offset
from services.detector.detectors.first_forest import PER_DAY, SAMPLES, SERIES
from services.detector.detectors.forest import Forest
from services.detector.detectors.jit import kernel
from services.detector.detectors.sample import Sample
from services.detector.detectors.simulation import series
from services.detector.detectors.training import grow

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Signal = Callable[[I64, F64], F64]

HOUR_MS = 3_600_000
STATE = np.dtype([("grid", grid.STATE), ("known", offset.STATE)], align=True)
ROWS_EACH = 200


def main() -> None:
    """Prints the table."""
    scorer, corpora = corpora_or_exit()
    header = ["added", "NAB std", "low-FP", "F1", "cloud std", "low-FP", "F1", "VUS"]
    rows: list[list[object]] = []
    for name, signal in SIGNALS.items():
        forest = _forest(signal)
        figures: list[object] = [name]
        for collection in COLLECTIONS:
            corpus = corpora[collection]
            seen = {n: _with(signal, t, x) for n, t, x in series_of(corpus)}
            figures += figures_of(scorer, corpus, seen, product(forest))
        rows.append(figures)
    table("Detectors left out", header, rows)


def _with(signal: Signal | None, times: I64, values: F64) -> Measured:
    """The series after the first pass, with the novelty of the signal as the last column."""
    seen = measure(times, values)
    if signal is None:
        return seen
    column = _novelty(signal(times, values), seen.ready, np.zeros(1, STATE)[0])
    return replace(seen, features=np.column_stack([seen.features, column.astype(np.float32)]))


def _forest(signal: Signal | None) -> Forest:
    seen = []
    for index in range(SERIES):
        per_day = PER_DAY[index % len(PER_DAY)]
        times = np.arange(SAMPLES, dtype=np.int64) * (86_400_000 // per_day)
        seen.append(_with(signal, times, series(index, SAMPLES, per_day)).features)
    rows = novel(seen, ROWS_EACH)
    return grow(rows, names=tuple(str(n) for n in range(rows.shape[1])), seed=0)


@kernel
def _novelty(signal: F64, ready: npt.NDArray[np.bool_], state: np.void) -> F64:
    found = np.zeros(len(signal))
    for i in range(len(signal)):
        cell, reach = grid.cell(state["grid"], signal[i]), grid.reach(state["grid"])
        sample = Sample(0, 0, 0, 0, cell, 0, 0, reach, reach, reach)
        if ready[i]:
            found[i] = offset.score(state["known"], sample)
        offset.learn(state["known"], sample)
        steps = grid.learn(state["grid"], signal[i], i)
        if steps != 0:
            offset.rescale(state["known"], steps)
    return found


@kernel
def _faded(values: F64, half_life: float) -> F64:
    """Mean of the values so far, each half as heavy after so many samples."""
    out, level, weight = np.zeros(len(values)), 0.0, 1.0 - 0.5 ** (1.0 / half_life)
    for i in range(len(values)):
        level += max(weight, 1.0 / (i + 1.0)) * (values[i] - level)
        out[i] = level
    return out


@kernel
def _hourly_residual(times: I64, values: F64) -> F64:
    """Distance from the mean of this hour of the day, which fades by a fifth a sample."""
    out, usual, seen = np.zeros(len(values)), np.zeros(24), np.zeros(24)
    for i in range(len(values)):
        hour = (times[i] // HOUR_MS) % 24
        out[i] = values[i] - usual[hour] if seen[hour] > 0 else 0.0
        seen[hour] += 1.0
        usual[hour] += max(0.2, 1.0 / seen[hour]) * (values[i] - usual[hour])
    return out


def _volatility(times: I64, values: F64) -> F64:
    moved = _faded(np.abs(np.diff(values, prepend=values[0])), 10.0)
    least = 1e-9 * (1.0 + np.abs(_faded(values, 20.0)))
    volatility: F64 = np.log2(moved + least)
    return volatility


def _window_change(times: I64, values: F64) -> F64:
    before = np.concatenate([values[:1], _faded(values, 3.0)[:-1]])
    change: F64 = values - before
    return change


def _drift(times: I64, values: F64) -> F64:
    drift: F64 = _faded(values, 20.0) - _faded(values, 300.0)
    return drift


SIGNALS: dict[str, Signal | None] = {
    "nothing": None,
    "volatility: log2 of the mean change of some ten samples": _volatility,
    "change over a short window: value minus the mean of some three": _window_change,
    "drift: mean of some twenty minus mean of some three hundred": _drift,
    "residual of the hour of the day": _hourly_residual,
}


if __name__ == "__main__":
    main()
