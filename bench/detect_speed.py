"""Time and memory of the engine, beside one-by-one scikit-learn and river, and of a whole shard.

All in one run on one core, in seconds of its CPU; trust the ratios.
"""

import importlib.util
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest

from bench.detect_corpora import table
from services.detector.detectors.engine import Engine, train
from services.detector.detectors.first_forest import first_forest, made_up_rows
from services.detector.detectors.forest import Forest
from services.detector.detectors.rows import SERIES
from services.detector.detectors.settings import Settings
from services.detector.model.checkpoints import Checkpoint
from services.detector.model.models import ActiveModel
from services.detector.model.rules import Comparison, Rule
from services.detector.model.samples import Samples
from services.detector.shards.scoring import ShardScorer

BATCH, WARM_TICKS, TIMED_BATCHES = 10_000, 60, 60
SIZES = (1_000, 10_000, 100_000, 1_000_000)
MINUTE_MS = 60_000


def main() -> None:
    """Prints the tables."""
    forest = first_forest(0)
    per_series = bytes_per_series(100_000)
    costs = {size: _engine_us(forest, size) for size in SIZES}
    header = ["series", "us per sample, batches of 10 000", "memory, MB"]
    rows: list[list[object]] = [[n, us, n * per_series / 1e6] for n, us in costs.items()]
    table("Whole engine, one core, noisy series", header, rows)
    print(f"\n{per_series} bytes per series, {SERIES.itemsize} of them checkpointed")
    table(
        "The shard as the service runs it: batches of 10 000 over 10 000 series, one core",
        ["what", "us per sample"],
        [
            ["engine and one model", _shard_us(forest, rules=0)],
            ["with 20 rules on every series", _shard_us(forest, rules=20)],
            ["with 20 rules and a shadow model", _shard_us(forest, rules=20, shadow=True)],
        ],
    )
    _compare(costs[10_000])


def bytes_per_series(series: int) -> int:
    """Of an engine whose series came a thousand at a time."""
    engine = Engine(forest=None)
    for _ in range(0, series, 1000):
        engine.add_series(1000)
    return round(engine.size_bytes / series)


def _engine_us(forest: Forest, series: int) -> float:
    """Microseconds per sample once every series is past its warm-up."""
    engine, random = Engine(forest=forest), np.random.default_rng(0)
    all_rows = np.arange(engine.add_series(series), series, dtype=np.int32)
    noise = random.normal(size=4_000_000)
    tick = 0
    for tick in range(WARM_TICKS):
        start = random.integers(0, len(noise) - series) if series < len(noise) else 0
        now = np.full(series, tick * MINUTE_MS, dtype=np.int64)
        engine.process(all_rows, now, noise[start : start + series])
    spent = 0.0
    for batch in range(TIMED_BATCHES):
        first = batch * BATCH % series
        rows = (first + np.arange(BATCH)) % series
        now = (tick + 1 + (batch * BATCH + np.arange(BATCH)) // series) * MINUTE_MS
        start = random.integers(0, len(noise) - BATCH)
        columns = rows.astype(np.int32), now, noise[start : start + BATCH]
        begin = time.thread_time()
        engine.process(*columns)
        spent += time.thread_time() - begin
    return spent / (TIMED_BATCHES * BATCH) * 1e6


def _shard_us(forest: Forest, *, rules: int, shadow: bool = False) -> float:
    """Microseconds per sample of everything between delivery and checkpoint, without I/O."""
    scorer, random = ShardScorer(Checkpoint(shard=0, epoch=1), Settings()), np.random.default_rng(0)
    behind = ActiveModel(version=2, forest=forest) if shadow else None
    scorer.use_model(ActiveModel(version=1, forest=forest), behind)
    scorer.use_rules([_rule(number) for number in range(rules)])
    ids = np.arange(BATCH, dtype=np.int64)
    labels = {number: {"__name__": "noise", "number": str(number)} for number in ids.tolist()}
    spent = 0.0
    for tick in range(WARM_TICKS + TIMED_BATCHES):
        times = np.full(BATCH, tick * MINUTE_MS, dtype=np.int64)
        samples = Samples(series_ids=ids, timestamps_ms=times, values=random.normal(size=BATCH))
        begin = time.thread_time()
        scorer.score(samples, tick + 1, labels)
        spent += time.thread_time() - begin if tick >= WARM_TICKS else 0.0
    return spent / (TIMED_BATCHES * BATCH) * 1e6


def _rule(number: int) -> Rule:
    """A rule that watches every series and is never met."""
    return Rule(
        rule_id=str(number),
        name=f"rule {number}",
        selector='{__name__="noise"}',
        comparison=Comparison.ABOVE,
        warning=80.0 + number,
        critical=200.0,
    )


def _compare(engine_us: float) -> None:
    rows = made_up_rows(0)
    model = IsolationForest(n_estimators=100, max_samples=256, random_state=0).fit(rows)
    forest = train(rows, seed=0)
    many = rows[np.random.default_rng(0).integers(0, len(rows), BATCH)]
    one_by_one = _us(lambda: model.score_samples(many[:1]), 1, 100)
    lines: list[tuple[str, float]] = [
        ("scikit-learn forest, one by one", one_by_one),
        ("scikit-learn forest, batch of 10 000", _us(lambda: model.score_samples(many), BATCH, 5)),
        ("our forest, one by one", _us(lambda: forest.score(many[:1]), 1, 2000)),
        ("our forest, batch of 10 000", _us(lambda: forest.score(many), BATCH, 20)),
        ("our whole engine, batch of 10 000 over 10 000 series", engine_us),
    ]
    river_us = _river_us(many[:, 0])
    if river_us is not None:
        lines.append(("river HalfSpaceTrees, value and change, one by one", river_us))
    body: list[list[object]] = [[name, us, f"{one_by_one / us:.0f} x"] for name, us in lines]
    table("Microseconds per sample", ["what", "us", "rate beside scikit-learn 1 x 1"], body)
    worst = np.abs(forest.score(many) + model.score_samples(many)).max()
    print(f"\nlargest difference between our forest and scikit-learn: {worst:.1e}")
    if river_us is None:
        print("river is not installed: not measured")


def _us(work: Callable[[], object], samples: int, repeats: int) -> float:
    """Best of five rounds, microseconds per sample."""
    work()
    rounds = []
    for _ in range(5):
        begin = time.thread_time()
        for _ in range(repeats):
            work()
        rounds.append(time.thread_time() - begin)
    return min(rounds) / (repeats * samples) * 1e6


def _river_us(values: npt.NDArray[np.float32]) -> float | None:
    if importlib.util.find_spec("river") is None:
        return None
    anomaly = importlib.import_module("river.anomaly")
    trees = anomaly.HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=0)
    begin = time.thread_time()
    for value, change in zip(values[1:2001].tolist(), np.diff(values)[:2000].tolist(), strict=True):
        sample = {"value": value, "change": change}
        trees.score_one(sample)
        trees.learn_one(sample)
    return (time.thread_time() - begin) / 2000 * 1e6


if __name__ == "__main__":
    main()
