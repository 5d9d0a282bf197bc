"""The external corpora and their scorer, read from SENSUS_BENCH_DIR (default ../shared/bench)."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent
BENCH = Path(os.environ.get("SENSUS_BENCH_DIR", ROOT / "../shared/bench")).resolve()
COLLECTIONS = ("nab", "cloud")
NS_PER_MS, WEEK_MS = 1_000_000, 7 * 86_400_000

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Corpus = dict[str, dict[str, Any]]


def corpora_or_exit() -> tuple[ModuleType, dict[str, Corpus]]:
    """The scorer and every collection; says so and ends with 0 where they are missing."""
    script = BENCH / "anomaly" / "nab_score.py"
    if not script.exists():
        print(f"no corpora: {script} is missing; set SENSUS_BENCH_DIR to the directory above it")
        sys.exit(0)
    scorer = load_module(script)
    return scorer, {name: scorer.load_corpus(script.parent / name) for name in COLLECTIONS}


def series_of(corpus: Corpus) -> Iterator[tuple[str, I64, F64]]:
    """Name, times in milliseconds and values of each series."""
    for name, file in corpus.items():
        yield name, file["ts"] // NS_PER_MS, file["value"]


def weeks(corpus: Corpus) -> float:
    """Series-weeks that are scored."""
    spans = [file["ts"][-1] - file["ts"][file["prob"]] for file in corpus.values()]
    return float(sum(spans)) / NS_PER_MS / WEEK_MS


def quality(scorer: ModuleType, corpus: Corpus, alert: Mapping[str, F64]) -> tuple[float, ...]:
    """NAB standard, NAB low-FP and event F1, each at its best threshold for the collection."""
    nab = scorer.nab_scores(corpus, alert)
    events = scorer.event_f1(corpus, alert)
    return nab["standard"], nab["reward_low_FP_rate"], events["ev_f1"]


def vus_pr(scorer: ModuleType, corpus: Corpus, raw: Mapping[str, F64]) -> float:
    """Volume under the precision-recall surface, mean over the series with anomalies."""
    values = []
    for name, file in corpus.items():
        first = file["prob"]
        ranges = [(max(a - first, 0), b - first) for a, b in file["rng"] if b >= first]
        rows = file["n"] - first
        if ranges and sum(b - a + 1 for a, b in ranges) < rows:
            length = int(np.clip(np.median([b - a + 1 for a, b in ranges]), 4, 100))
            values.append(scorer.vus_pr(ranges, raw[name][first:], rows, length))
    return float(np.mean(values))


def table(title: str, header: list[str], rows: list[list[object]]) -> None:
    """Prints a Markdown table."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(_cell(value) for value in row) + " |")


def over(corpus: Corpus, score: Callable[[I64, F64], F64]) -> dict[str, F64]:
    """`score` of each series, NaN as 0."""
    return {name: np.nan_to_num(score(t, x)) for name, t, x in series_of(corpus)}


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
    return str(value)


def load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
