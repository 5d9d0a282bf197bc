"""What each part of the engine brings: the same replay with one part taken out, put in or swapped.

All rows use the kernels of the engine; only what is fed to them differs. The forest is that of a
fresh install unless the row says otherwise. Differences below 2 to 3 points are noise: the standard
error is 4 to 7 points on NAB and 5 to 10 on cloud.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import numpy.typing as npt

from bench.detect_corpora import (
    COLLECTIONS,
    Corpus,
    corpora_or_exit,
    quality,
    series_of,
    table,
    vus_pr,
)
from services.detector.detectors import stages
from services.detector.detectors.contexts import FEATURES
from services.detector.detectors.engine import train
from services.detector.detectors.first_forest import first_forest, made_up_rows
from services.detector.detectors.forest import Forest
from services.detector.detectors.rows import SERIES

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Strangeness = Callable[[F32], F64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One series after the first pass of the engine."""

    features: F32
    elapsed_ms: F64
    ready: npt.NDArray[np.bool_]
    values: F64


def main() -> None:
    """Prints the tables."""
    scorer, corpora = corpora_or_exit()
    measured = {c: {n: measure(t, x) for n, t, x in series_of(corpora[c])} for c in COLLECTIONS}
    forest = first_forest(0)
    header = ["what is alerted on", "NAB std", "low-FP", "F1", "cloud std", "low-FP", "F1", "VUS"]

    def row(name: str, strangeness: Strangeness, *, every_sample: bool = False) -> list[object]:
        figures: list[object] = [name]
        for collection in COLLECTIONS:
            parts = measured[collection], strangeness, every_sample
            figures += figures_of(scorer, corpora[collection], *parts)
        return figures

    table("Role of the forest", header, [row(n, s) for n, s in _roles(forest, measured).items()])
    table("Episodes", header, [row("every sample", product(forest), every_sample=True)])
    without = [_without(forest, index) for index in range(len(FEATURES))]
    named = zip(FEATURES, without, strict=True)
    table("Without one detector", header, [row(f"without {n}", s) for n, s in named])
    alone = [row(f"only {n}", _only(index)) for index, n in enumerate(FEATURES)]
    table("One detector alone, no forest", header, alone)


def measure(times: I64, values: F64) -> Measured:
    """The first pass of the engine over one series."""
    n = len(times)
    features, expected = np.zeros((n, len(FEATURES)), np.float32), np.zeros((n, 2))
    ready, elapsed_ms, silence_ms = np.zeros(n, np.bool_), np.zeros(n), np.zeros((n, 4))
    state, rows = np.zeros(1, SERIES), np.zeros(n, np.int32)
    columns = features, expected, ready, elapsed_ms, silence_ms
    stages.measure(state, rows, times, values, times, 50, *columns)
    return Measured(features=features, elapsed_ms=elapsed_ms, ready=ready, values=values)


def figures_of(
    scorer: ModuleType,
    corpus: Corpus,
    measured: dict[str, Measured],
    strangeness: Strangeness,
    every_sample: bool = False,
) -> list[float]:
    """NAB standard, low-FP, event F1; for cloud VUS-PR of the raw score as well."""
    raws, alerts = {}, {}
    for name, series in measured.items():
        strange = np.where(series.ready, strangeness(series.features), 0.0)
        raw, alert = np.zeros(len(strange)), np.zeros(len(strange))
        state, rows = np.zeros(1, SERIES), np.zeros(len(strange), np.int32)
        asked = np.zeros(1), np.ones(1, np.float32)
        stages.judge(state, rows, series.elapsed_ms, strange, series.ready, 0.0, *asked, raw, alert)
        raws[name], alerts[name] = raw, strange if every_sample else alert
    figures = quality(scorer, corpus, alerts)
    has_exact_ranges = any(file["rng"] is not file["win"] for file in corpus.values())
    return [*figures, vus_pr(scorer, corpus, raws)] if has_exact_ranges else [*figures]


def _roles(forest: Forest, measured: dict[str, dict[str, Measured]]) -> dict[str, Strangeness]:
    everything = [s.features for series in measured.values() for s in series.values()]
    pooled = train(novel(everything, 200), seed=0)
    return {
        "as shipped: total surprise x isolation": product(forest),
        "the same, forest of the corpora's own novelties (unlabelled, looks ahead)": product(
            pooled
        ),
        "forest alone: isolation, fresh install": _isolation(forest),
        "forest alone: isolation, corpora's own novelties (looks ahead)": _isolation(pooled),
        "no forest: total surprise, equal weights": lambda f: f.sum(axis=1, dtype=np.float64),
        "no forest: largest surprise": lambda f: f.max(axis=1).astype(np.float64),
    }


def novel(parts: list[F32], each: int) -> F32:
    """So many rows about which anything is new of each series, drawn by chance."""
    random = np.random.default_rng(0)
    novel = [f[f.any(axis=1)] for f in parts]
    return np.concatenate([f[random.choice(len(f), each)] for f in novel if len(f)])


def _isolation(forest: Forest) -> Strangeness:
    calm = forest.score(np.zeros((1, len(forest.names)), np.float32))[0]

    def isolation(features: F32) -> F64:
        score = np.maximum(forest.score(features) - calm, 0.0)
        return np.where(features.any(axis=1), score, 0.0)

    return isolation


def product(forest: Forest) -> Strangeness:
    """What is shipped: total surprise, weighted by isolation."""
    isolation = _isolation(forest)
    return lambda features: features.sum(axis=1, dtype=np.float64) * isolation(features)


def _without(forest: Forest, index: int) -> Strangeness:
    """The column set to nothing, for the total and for a forest grown without it."""
    whole = product(_forest_without(index))

    def strangeness(features: F32) -> F64:
        masked = features.copy()
        masked[:, index] = 0.0
        return whole(masked)

    return strangeness


def _forest_without(index: int) -> Forest:
    """The forest of a fresh install, grown on rows whose column `index` is nothing."""
    masked = made_up_rows(0)
    masked[:, index] = 0.0
    return train(masked[masked.any(axis=1)], seed=0)


def _only(index: int) -> Strangeness:
    return lambda features: features[:, index].astype(np.float64)


if __name__ == "__main__":
    main()
