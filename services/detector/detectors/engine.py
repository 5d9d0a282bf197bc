"""The detection engine: scores samples of many series, each from what came before it alone.

API (stable; the maths behind it is not):

    engine = Engine(forest=train(rows, seed=0), settings=Settings())
    first = engine.add_series(1000)                      # rows first .. first + 999
    scores = engine.process(rows, timestamps_ms, values) # one batch, in order within a series
    engine.features_of_last(rows), engine.contributions(features)
    data = engine.export_rows(rows); engine.import_rows(rows, data)

Laws: O(1) per sample, no look-ahead, deterministic, the same scores however a stream is cut into
batches, and after export and import of the state in mid-stream.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.detector.detectors import rows as state_rows
from services.detector.detectors import stages
from services.detector.detectors.forest import Forest
from services.detector.detectors.settings import Settings
from services.detector.detectors.training import grow

FEATURES: tuple[str, ...] = stages.FEATURES
RESERVOIR_ROWS = 4096

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

__all__ = ["FEATURES", "Engine", "Forest", "Scores", "Settings", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of one batch; every array has one entry per sample, in the order given.

    Attributes:
        raw: [0, 1], tail probability of the strangeness within its own series (0.999: one sample
            in a thousand is as strange). NaN where the sample was not scored: not finite, repeated
            or out of order, series in warm-up, or no model.
        alert: [0, 1], 0 except on a sample that opens or raises an episode within the noise budget.
        expected_low, expected_high: the range expected before the sample was seen; NaN in warm-up.
        warm: the series is past its warm-up and a model is present.
    """

    raw: F64
    alert: F64
    expected_low: F64
    expected_high: F64
    warm: npt.NDArray[np.bool_]


class Engine:
    """State and scoring of the series of one shard."""

    def __init__(self, *, forest: Forest | None, settings: Settings | None = None) -> None:
        """Starts without series.

        Raises:
            ValueError: the forest was trained on other features.
        """
        self._settings = settings or Settings()
        self._state = np.zeros(0, dtype=state_rows.SERIES)
        self._count = 0
        self._reservoir = np.full((RESERVOIR_ROWS, len(FEATURES)), np.nan, dtype=np.float32)
        self.use_forest(forest)

    def __len__(self) -> int:
        return self._count

    def use_forest(self, forest: Forest | None) -> None:
        """Scores the next batch with `forest`; series keep their state.

        Raises:
            ValueError: the forest was trained on other features.
        """
        if forest is not None and forest.names != FEATURES:
            raise ValueError(f"forest of other features: {forest.names}, expected {FEATURES}")
        self._forest = forest
        if forest is not None:
            self._calm = float(forest.score(np.zeros((1, len(FEATURES)), dtype=np.float32))[0])

    def add_series(self, count: int) -> int:
        """Adds `count` series that have seen nothing; returns the row of the first."""
        first, self._count = self._count, self._count + count
        if self._count > len(self._state):
            grown = np.zeros(max(self._count, 2 * first, 64), dtype=state_rows.SERIES)
            grown[:first] = self._state[:first]
            self._state = grown
        return first

    def process(self, rows: I32, timestamps_ms: I64, values: F64) -> Scores:
        """Scores and learns one batch; samples of one series must be in order.

        Cost: O(1) per sample. Samples whose timestamp does not pass the last one of their series,
        and values that are NaN or infinite, are not scored and change nothing.

        Raises:
            ValueError: arrays of different length, or a row that does not exist.
        """
        rows = np.ascontiguousarray(rows, dtype=np.int32)
        times = np.ascontiguousarray(timestamps_ms, dtype=np.int64)
        x = np.ascontiguousarray(values, dtype=np.float64)
        self._check(rows, times, x)
        n = len(rows)
        features = np.zeros((n, len(FEATURES)), dtype=np.float32)
        low, high = np.full(n, np.nan), np.full(n, np.nan)
        ready = np.zeros(n, dtype=np.bool_)
        warm_up = self._settings.warm_up
        elapsed = np.zeros(n)
        stages.measure(
            self._state, rows, times, x, warm_up, features, low, high, ready, elapsed
        )
        self._remember(rows, times, features)
        raw, alert = np.full(n, np.nan), np.zeros(n)
        if self._forest is not None:
            self._judge(rows, times, elapsed, features, ready, raw, alert)
        warm = self._state["clock"]["count"][rows] > warm_up
        return Scores(
            raw=raw,
            alert=alert,
            expected_low=low,
            expected_high=high,
            warm=np.asarray(warm & (self._forest is not None)),
        )

    def features_of_last(self, rows: I32) -> F32:
        """Feature vectors float32[k, F] of the last sample taken of each series."""
        return np.array(self._state["features"][: self._count][rows], dtype=np.float32)

    def contributions(self, features: F32) -> F64:
        """Share of each feature in the forest's verdict, float64[k, F]; zeros without a forest."""
        if self._forest is None:
            return np.zeros((len(features), len(FEATURES)))
        return self._forest.contributions(features)

    def take_training_rows(self) -> F32:
        """Feature vectors float32[m, F] kept for training, a deterministic recent sample."""
        return np.array(self._reservoir[~np.isnan(self._reservoir[:, 0])])

    def export_rows(self, rows: I32) -> bytes:
        """The state of these series, versioned, to be stored as one blob or cut by row."""
        return state_rows.pack(self._state[: self._count][rows])

    def import_rows(self, rows: I32, data: bytes) -> None:
        """Replaces the state of these series by what `export_rows` gave for as many.

        Raises:
            ValueError: damaged, another version, or another number of series.
        """
        state = state_rows.unpack(data, len(rows))
        if len(rows) and (np.min(rows) < 0 or np.max(rows) >= self._count):
            raise ValueError(f"row out of range: engine holds {self._count} series")
        self._state[np.asarray(rows)] = state

    def _judge(self, rows: I32, times: I64, elapsed: F64, features: F32, ready, raw: F64, alert: F64) -> None:  # type: ignore[no-untyped-def]
        assert self._forest is not None
        new = features.any(axis=1)
        strangeness = np.zeros(len(rows))
        strangeness[new] = np.maximum(self._forest.score(features[new]) - self._calm, 0.0)
        stages.judge(
            self._state, rows, elapsed, strangeness, ready, self._settings.quiet_days,
            self._settings.alerts_per_week or 0.0, raw, alert,
        )

    def _remember(self, rows: I32, times: I64, features: F32) -> None:
        new = np.flatnonzero(features.any(axis=1))
        mix = (rows[new].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ times[new].astype(np.uint64)
        mix = (mix * np.uint64(0xBF58476D1CE4E5B9)) >> np.uint64(40)
        self._reservoir[mix % np.uint64(RESERVOIR_ROWS)] = features[new]

    def _check(self, rows: I32, times: I64, x: F64) -> None:
        if not (rows.ndim == 1 and rows.shape == times.shape == x.shape):
            raise ValueError(f"columns differ: {rows.shape}, {times.shape}, {x.shape}")
        if len(rows) and (rows.min() < 0 or rows.max() >= self._count):
            raise ValueError(f"row out of range: engine holds {self._count} series")


def train(features: F32, *, seed: int, trees: int = 100, sample: int = 256) -> Forest:
    """A forest of `FEATURES` rows, grown by scikit-learn.

    Raises:
        ValueError: fewer than two rows, a value that is not finite, or a wrong width.
    """
    return grow(features, names=FEATURES, seed=seed, trees=trees, sample=sample)
