"""The detection engine: scores samples of many series, each from what came before it alone.

API (stable; the maths behind it is not):

    engine = Engine(forest=train(rows, seed=0), settings=Settings())
    first = engine.add_series(1000)                      # rows first .. first + 999
    scores = engine.process(rows, timestamps_ms, values) # one batch, in order within a series
    scores = engine.process(rows, timestamps_ms, values, arrived_ms) # when silence is of interest
    engine.contributions(scores.features)
    data = engine.export_rows(rows); engine.import_rows(rows, data)

How a sample is scored (`step`): of a counter its growth is taken (`kinds`), seven contexts tell how
surprising it is (`contexts`), an Isolation Forest trained on earlier surprises tells how isolated
their combination is, and the product of the total surprise and the isolation is the strangeness of
the sample. `tension` turns it into the raw score, `episode` tells what begins, lasts and ends, and
what is learnt of it, `loudness` how much attention it deserves.

Laws: O(1) per sample, no look-ahead, deterministic, the same scores however a stream is cut into
batches, and after export and import of the state in mid-stream.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.detector.detectors import absence, batch, kinds, reservoir, step
from services.detector.detectors import rows as state_rows
from services.detector.detectors.calendar import Calendar
from services.detector.detectors.contexts import FEATURES
from services.detector.detectors.forest import NO_TREES, Forest
from services.detector.detectors.settings import Settings
from services.detector.detectors.training import grow

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SPARE: Final = 256
"""One row in so many is kept free, so that series may come one by one at little cost."""

__all__ = ["FEATURES", "Engine", "Forest", "Scores", "Settings", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of one batch; every array has one entry per sample, in the order given.

    Attributes:
        raw: [0, 1), tail probability of the strangeness within its own series (0.999: one sample
            in a thousand is as strange). NaN where the sample was not scored: not finite, repeated
            or out of order, series in warm-up, or no model.
        alert: [0, 1), 0 except on a sample that opens or raises an episode within the noise budget;
            comparable between series.
        ended: int8, whether with the sample the episode ends that the last alert belongs to: 0, or
            `episode.USUAL_AGAIN`, or `episode.STAYS` when its level is the new usual.
        drifted: the alert tells of a drift, see `drift`; `expected` is the range that was left.
        value: what was scored: the sample, or of a counter its growth per second; NaN where none.
        expected_low, expected_high: the range expected before the sample was seen; NaN in warm-up.
        features: float32[n, F], how surprising each context of the sample was; 0 in warm-up.
        warm: the sample is past its series' warm-up and a model is present.
        silenced: the sample would have given an alert but for `require`.
        apart: the interval before the sample was longer than the series may be silent.
        silence_ms: float64[n, 4], how long nothing of the series had arrived before the sample,
            how long that may be, how long it often is, and how late the sample before had arrived;
            NaN at the first sample.
        alarmed: before the sample the episode of the last alert still went on.
    """

    raw: F64
    alert: F64
    ended: npt.NDArray[np.int8]
    drifted: Flags
    value: F64
    expected_low: F64
    expected_high: F64
    features: F32
    warm: Flags
    silenced: Flags
    apart: Flags
    silence_ms: F64
    alarmed: Flags


class Engine:
    """State and scoring of the series of one shard."""

    def __init__(self, *, forest: Forest | None, settings: Settings | None = None) -> None:
        """Starts without series.

        Raises:
            ValueError: the forest was trained on other features, or the settings name a time zone
                or place that is not known here.
        """
        self._settings = settings or Settings()
        self._calendar = Calendar(self._settings.time_zone, self._settings.holidays)
        self._state = np.zeros(0, dtype=state_rows.SERIES)
        self._blank = np.zeros(1, dtype=state_rows.SERIES)
        self._least = np.zeros(0)
        self._allowance = np.ones(0, dtype=np.float32)
        self._count = 0
        self._reservoir = reservoir.empty(len(FEATURES))
        self.use_forest(forest)

    def __len__(self) -> int:
        return self._count

    @property
    def size_bytes(self) -> int:
        """Memory of the series, with the rows that are kept free."""
        return self._state.nbytes + self._least.nbytes + self._allowance.nbytes

    def use_forest(self, forest: Forest | None) -> None:
        """Scores the next batch with `forest`; series keep their state.

        Raises:
            ValueError: the forest was trained on other features.
        """
        if forest is not None and forest.names != FEATURES:
            raise ValueError(f"forest of other features: {forest.names}, expected {FEATURES}")
        self._forest = forest
        self._trees = NO_TREES if forest is None else forest.trees()

    def add_series(self, count: int) -> int:
        """Adds `count` series that have seen nothing; returns the row of the first."""
        first, self._count = self._count, self._count + count
        if self._count > len(self._state):
            more = self._count + self._count // SPARE - len(self._state)
            self._state = np.concatenate([self._state, np.zeros(more, self._state.dtype)])
            self._least = np.concatenate([self._least, np.zeros(more)])
            self._allowance = np.concatenate([self._allowance, np.ones(more, np.float32)])
        return first

    def declare(self, rows: I32, declared: npt.NDArray[np.uint8]) -> I32:
        """Says what series are: `kinds.DECLARED`, `kinds.NO_COUNTER`, or `kinds.GAUGE` for open.

        Those of which this changes what is scored forget all values, and are returned.

        Raises:
            ValueError: a row that does not exist.
        """
        self._check_rows(rows)
        before = self._state["kind"]["kind"][rows]
        is_open = declared == kinds.GAUGE
        settled = is_open & (before != kinds.DECLARED)  # what it has turned out to be stays
        self._state["kind"]["kind"][rows] = np.where(settled, before, declared)
        was, counts = _counted(before), declared == kinds.DECLARED
        anew = rows[(was != counts) & ~settled & (self._state["seen"][rows] > 0)]
        self._state["kind"]["growths"][anew] = self._state["kind"]["slips"][anew] = 0
        for row in anew.tolist():
            step.start_over(self._state[row], self._blank[0])
        return np.asarray(anew, dtype=np.int32)

    def counters(self) -> Flags:
        """Which series are counters, as far as is known."""
        return _counted(self._state[: self._count]["kind"]["kind"])

    def require(self, rows: I32, scores: F64, allowances: F64 | None = None) -> None:
        """Lets only alerts above these alert scores speak, in [0, 1) and 0 for all other rows.

        What stays silent costs nothing of the noise budget, of which these rows have `allowances`
        times as much, and all others what the settings say. Not part of the state.

        Raises:
            ValueError: a row that does not exist.
        """
        self._check_rows(rows)
        self._least[:], self._allowance[:] = 0.0, 1.0
        self._least[rows] = scores
        if allowances is not None:
            self._allowance[rows] = allowances

    def process(
        self, rows: I32, timestamps_ms: I64, values: F64, arrived_ms: I64 | None = None
    ) -> Scores:
        """Scores and learns one batch; samples of one series must be in order.

        Without `arrived_ms` samples arrive at their timestamps.

        Cost: O(1) per sample. Samples whose timestamp does not pass the last one of their series,
        and values that are NaN or infinite, are not scored and change nothing.

        Raises:
            ValueError: arrays of different length, or a row that does not exist.
        """
        rows = np.ascontiguousarray(rows, dtype=np.int32)
        times = np.ascontiguousarray(timestamps_ms, dtype=np.int64)
        x = np.ascontiguousarray(values, dtype=np.float64)
        arrived = times if arrived_ms is None else np.ascontiguousarray(arrived_ms, dtype=np.int64)
        self._check(rows, times, x, arrived)
        found = _columns(len(rows))
        asked = step.Asked(self._settings.alerts_per_week or 0.0, self._allowance, self._least)
        given = rows, times, self._calendar.local_ms(times), x, arrived
        state, warm_up = self._state, self._settings.warm_up
        batch.process(state, self._blank, *given, warm_up, self._trees, asked, found, step.room())
        reservoir.keep(self._reservoir, rows, times, found.features)
        strength = np.maximum(found.alert, 0.0)
        return Scores(
            raw=found.raw,
            alert=strength / (1.0 + strength),
            ended=found.ended,
            drifted=found.drifted,
            value=found.value,
            expected_low=found.expected[:, 0],
            expected_high=found.expected[:, 1],
            features=found.features,
            warm=found.ready & (self._forest is not None),
            silenced=found.alert < 0.0,
            apart=found.elapsed_ms > found.silence[:, 1],
            silence_ms=found.silence[:, :4],
            alarmed=found.silence[:, 4] == 1.0,
        )

    def contributions(self, features: F32) -> F64:
        """Share of each feature in the forest's verdict, float64[k, F]; zeros without a forest."""
        if self._forest is None:
            return np.zeros((len(features), len(FEATURES)))
        return self._forest.contributions(features)

    def strangeness(self, features: F32) -> F64:
        """Total surprise, weighted by how isolated its combination is; 0 where nothing is new.

        Zeros without a forest.
        """
        out, forest = np.zeros(len(features)), self._forest
        if forest is None:
            return out
        new = features.any(axis=1)
        isolation = np.maximum(forest.score(features[new]) - self._trees.calm, 0.0)
        out[new] = features[new].sum(axis=1, dtype=np.float64) * isolation
        return out

    def newest_ms(self) -> I64:
        """Timestamp of the newest sample of every series; the lowest int64 before the first."""
        state = self._state[: self._count]
        return np.where(state["seen"] > 0, state["clock"]["last_ms"], np.iinfo(np.int64).min)

    def delays_ms(self) -> F64:
        """How late the newest sample of every series arrived after its timestamp."""
        return np.asarray(self._state[: self._count]["absence"]["delay_ms"], dtype=np.float64)

    def arrivals_ms(self) -> F64:
        """When the newest sample of every series arrived; the lowest int64 before the first."""
        return np.asarray(self.newest_ms() + self.delays_ms())

    def alarmed(self) -> Flags:
        """In which series the episode of the last alert goes on."""
        return np.asarray(self._state[: self._count]["loudness"]["open"] > 0)

    def pauses_ms(self) -> F64:
        """How long every series is often silent; see `absence`."""
        return np.asarray(self._state[: self._count]["absence"]["second_ms"], dtype=np.float64)

    def patience_ms(self) -> F64:
        """How long every series may be silent; see `absence`."""
        return absence.patiences_ms(self._state[: self._count]["absence"]["second_ms"])

    def take_training_rows(self) -> F32:
        """Feature vectors float32[m, F] kept for training, a deterministic recent sample."""
        return reservoir.taken(self._reservoir)

    def export_rows(self, rows: I32) -> bytes:
        """The state of these series, versioned: a header, then rows of equal size."""
        return state_rows.pack(self._state[: self._count][rows])

    def import_rows(self, rows: I32, data: bytes) -> None:
        """Replaces the state of these series by what `export_rows` gave for as many.

        Raises:
            ValueError: damaged, another version, another number of series, or an unknown row.
        """
        state = state_rows.unpack(data, len(rows))
        self._check_rows(np.asarray(rows))
        self._state[np.asarray(rows)] = state

    def _check(self, rows: I32, times: I64, x: F64, arrived: I64) -> None:
        if not (rows.ndim == 1 and rows.shape == times.shape == x.shape == arrived.shape):
            shapes = f"{rows.shape}, {times.shape}, {x.shape}, {arrived.shape}"
            raise ValueError(f"columns differ: {shapes}")
        self._check_rows(rows)

    def _check_rows(self, rows: npt.NDArray[np.integer]) -> None:
        if len(rows) and (rows.min() < 0 or rows.max() >= self._count):
            raise ValueError(f"row out of range: the engine holds {self._count} series")


def _columns(count: int) -> step.Found:
    """Columns that nothing was written to."""
    return step.Found(
        features=np.zeros((count, len(FEATURES)), dtype=np.float32),
        value=np.full(count, np.nan),
        expected=np.full((count, 2), np.nan),
        ready=np.zeros(count, dtype=np.bool_),
        elapsed_ms=np.zeros(count),
        silence=np.full((count, 5), np.nan),
        raw=np.full(count, np.nan),
        alert=np.zeros(count),
        ended=np.zeros(count, dtype=np.int8),
        drifted=np.zeros(count, dtype=np.bool_),
    )


def train(features: F32, *, seed: int, trees: int = 100, sample: int = 256) -> Forest:
    """A forest of `FEATURES` rows; the same rows and seed give the same forest.

    Raises:
        ValueError: fewer than two rows, a value that is not finite, or a wrong width.
    """
    grown = grow(features, names=FEATURES, seed=seed, count=trees, sample=sample)
    return Forest(**grown._asdict())


def _counted(of: npt.NDArray[np.uint8]) -> Flags:
    return np.isin(of, (kinds.COUNTER, kinds.DECLARED))
