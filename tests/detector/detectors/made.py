"""Made streams for the laws of the engine, and the forest they are judged by."""

import functools
import hashlib
import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from services.detector import detectors
from services.detector.detectors.engine import FEATURES, Engine, Forest, Scores, Settings, train
from services.detector.detectors.first_forest import first_forest

START_MS = 1_780_000_000_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
SETTINGS = Settings(warm_up=20)

_SOURCES = Path(detectors.__path__[0])
_KEPT = Path(__file__).resolve().parents[3] / ".pytest_cache" / "sensus"

Batch = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.float64]]


@functools.cache
def forest() -> Forest:
    """The forest of a fresh install, grown once for all workers and kept beside pytest's cache."""
    sources = [file.read_bytes() for file in sorted(_SOURCES.glob("*.py"))]
    kept = _KEPT / f"forest-{hashlib.sha256(b''.join(sources)).hexdigest()[:16]}"
    if not kept.exists():
        _KEPT.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(f".{os.getpid()}")
        new.write_bytes(first_forest(0).to_bytes())
        new.replace(kept)
    return Forest.from_bytes(kept.read_bytes(), names=FEATURES)


def engine(series: int, settings: Settings = SETTINGS) -> Engine:
    """An engine with so many series that have seen nothing."""
    made = Engine(forest=forest(), settings=settings)
    made.add_series(series)
    return made


def stream(series: int = 3, ticks: int = 400, seed: int = 0) -> Batch:
    """Noisy daily curves side by side, with spikes, a shift, a gap and samples nobody can score."""
    random = np.random.default_rng(seed)
    times = START_MS + np.arange(ticks, dtype=np.int64) * 10 * MINUTE_MS
    times[ticks // 2 :] += 700 * MINUTE_MS
    curve = np.sin(2 * np.pi * times / 86_400_000)[:, None] * random.uniform(0, 9, series)
    values = 50 + curve + random.normal(0, 1, (ticks, series))
    values[random.integers(0, ticks, 6), random.integers(0, series, 6)] += 40
    values[ticks * 3 // 4 :, 0] -= 25
    values[ticks // 3, :] = np.nan
    rows = np.tile(np.arange(series, dtype=np.int32), ticks)
    return rows, np.repeat(times, series), values.reshape(-1)


def some_scores() -> npt.NDArray[np.float64]:
    """Raw and alert scores of a short stream by a forest of noise; quick without numba, too."""
    noise = np.random.default_rng(0).uniform(0, 3, (300, len(FEATURES))).astype(np.float32)
    made = Engine(forest=train(noise, seed=0, trees=20), settings=SETTINGS)
    made.add_series(3)
    scores = made.process(*stream(3, ticks=80))
    return np.concatenate([np.nan_to_num(scores.raw), scores.alert, scores.features.sum(axis=1)])


def cut(batch: Batch, start: int, stop: int) -> Batch:
    """The samples from `start` to before `stop`."""
    rows, times, values = batch
    return rows[start:stop], times[start:stop], values[start:stop]


def one(values: list[float], times_ms: list[int] | None = None) -> Batch:
    """One series; by default a sample each minute."""
    times = times_ms or [START_MS + n * MINUTE_MS for n in range(len(values))]
    return np.zeros(len(values), np.int32), np.array(times, np.int64), np.array(values, np.float64)


def joined(parts: list[Scores]) -> Scores:
    """Scores of consecutive batches as those of one."""
    names = [each.name for each in fields(Scores)]
    return Scores(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})


def chosen(scores: Scores, mine: npt.NDArray[np.bool_]) -> Scores:
    """The scores of some of the samples."""
    return Scores(**{each.name: getattr(scores, each.name)[mine] for each in fields(Scores)})


def assert_same(left: Scores, right: Scores) -> None:
    """Asserts that two scores are equal to the last bit."""
    for each in fields(Scores):
        np.testing.assert_array_equal(getattr(left, each.name), getattr(right, each.name))
