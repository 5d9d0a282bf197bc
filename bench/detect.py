"""Detection quality on every yardstick in one run: NAB, cloud, incidents, made-up operation.

One configuration for all; the forest is that of a fresh install. Fitted figures choose their
threshold on what they are measured on; left out, a group of series is told at the threshold that
is best for all other groups, and a system at the one that all other systems allow.
`python bench/detect.py [nab|cloud|incidents|synthetic ...]` runs some of them.
"""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.detect_corpora import COLLECTIONS, quality, table, vus_pr
from bench.detect_yardsticks import SEEDS, Columns, Incidents, Labelled, Synthetic
from services.detector.detectors.engine import Engine, Scores
from services.detector.detectors.first_forest import first_forest
from services.detector.detectors.forest import Forest
from services.detector.detectors.settings import Settings

F64 = npt.NDArray[np.float64]

OPEN, SHIPPED = Settings(), Settings(alerts_per_week=4.0)
WARNING, ANY = 0.8, 1e-9
ONE_A_WEEK = 1.0
PUBLISHED: list[list[object]] = [
    ["Isolation Forest on the raw value, refit daily", 24, 11, 0.30],
    ["AWS random cut forest (published)", 53, 41, 0.49],
    ["Numenta HTM (published)", 70, 64, 0.67],
    ["ARTime (published, best known)", 75, 65, 0.61],
]


def main() -> None:
    """Prints the tables."""
    asked = sys.argv[1:] or ["nab", "cloud", "incidents", "synthetic"]
    forest = first_forest(0)
    if {"nab", "cloud"} & set(asked):
        _labelled(forest)
    if "incidents" in asked:
        _incidents(forest)
    if "synthetic" in asked:
        _synthetic(forest)


def scored(columns: Columns, forest: Forest, settings: Settings) -> Scores:
    """Scores of all samples, in their order."""
    engine = Engine(forest=forest, settings=settings)
    engine.add_series(len(columns.names))
    lengths = np.diff(np.append(columns.starts, len(columns.values)))
    rows = np.repeat(np.arange(len(columns.names), dtype=np.int32), lengths)
    return engine.process(rows, columns.times_ms, columns.values)


def _labelled(forest: Forest) -> None:
    yard, rows = Labelled(), list[list[object]]()
    for name in COLLECTIONS:
        columns, corpus = yard.columns[name], yard.corpora[name]
        scores = scored(columns, forest, OPEN)
        alert = dict(columns.parts(scores.alert))
        left_out = left_out_groups(yard.scorer, corpus, alert)
        volume: object = "" if name == "nab" else vus_pr(yard.scorer, corpus, _raw(columns, scores))
        rows.append([name, *quality(yard.scorer, corpus, alert), *left_out, volume])
    header = ["collection", "standard", "low-FP", "event F1", "left out: standard", "low-FP"]
    table("Labelled series", [*header, "event F1", "VUS-PR (raw)"], rows)
    table("Published for NAB", header[:4], PUBLISHED)


def _raw(columns: Columns, scores: Scores) -> dict[str, F64]:
    return dict(columns.parts(np.nan_to_num(scores.raw)))


def left_out_groups(scorer: Any, corpus: Any, alert: Mapping[str, F64]) -> list[float]:
    """Every group told at the threshold that is best for all others, put together again."""
    standard, low, events = dict[str, F64](), dict[str, F64](), dict[str, F64]()
    for group in {name.split("/")[0] for name in corpus}:
        others = {n: f for n, f in corpus.items() if n.split("/")[0] != group}
        kept = {n: alert[n] for n in others}
        found, f1 = scorer.nab_scores(others, kept), scorer.event_f1(others, kept)
        for name in corpus.keys() - others.keys():
            standard[name] = (alert[name] >= found["thr_standard"]).astype(float)
            low[name] = (alert[name] >= found["thr_reward_low_FP_rate"]).astype(float)
            events[name] = (alert[name] >= f1["ev_thr"]).astype(float)
    return [
        scorer.nab_scores(corpus, standard, 0.5)["standard"],
        scorer.nab_scores(corpus, low, 0.5)["reward_low_FP_rate"],
        scorer.event_f1(corpus, events, threshold=0.5)["ev_f1"],
    ]


def _incidents(forest: Forest) -> None:
    yard, rows = Incidents(), list[list[object]]()
    outcomes = yard.detector(scored(yard.columns, forest, OPEN).alert)
    grid, height = outcomes.grid(), yard.height(outcomes)
    lowest = yard.module.within(outcomes, grid, ONE_A_WEEK)
    rows.append([f"alert score, one false a week (H {height:.1f})", *heard(outcomes, lowest)])
    for place, system in enumerate(outcomes.systems):
        fitted = _threshold(outcomes, grid, [s for s in range(len(outcomes.systems)) if s != place])
        here = outcomes.fault_system == place
        rows.append([f"left out: {system}", *heard(outcomes, fitted, here, place)])
    shipped = yard.detector(scored(yard.columns, forest, SHIPPED).alert)
    rows.append(["as shipped, everything", *heard(shipped, ANY)])
    rows.append(["as shipped, warnings", *heard(shipped, WARNING)])
    header = ["", "first heard", "further heard", "before", "PetShop second", "false a week"]
    table("Incidents, open part", header, rows)


def _threshold(outcomes: Any, grid: F64, systems: list[int]) -> float:
    """The lowest threshold down to which these systems keep to one false alarm a week."""
    chosen, exposure = np.isin(outcomes.series_system, systems), outcomes.exposure
    good = float(grid[0])
    for threshold in grid:
        false = outcomes.at(threshold)["false"]
        if false[chosen].sum() / exposure[chosen].sum() > ONE_A_WEEK:
            break
        good = float(threshold)
    return good


def heard(
    outcomes: Any, threshold: float, here: Any = None, system: int | None = None
) -> list[object]:
    """First and further faults heard, share told before, PetShop's second ones, false a week."""
    at = outcomes.at(threshold)
    first = np.array([fault["repeat_min"] is None for _, fault in outcomes.faults])
    shop = np.array([line.t["system"] == "petshop" for line, _ in outcomes.faults])
    here = np.ones(len(first), bool) if here is None else here
    false = outcomes.rate(at["false"])
    if system is not None:
        mine = outcomes.series_system == system
        false = at["false"][mine].sum() / outcomes.exposure[mine].sum()
    again = at["hit"][shop & ~first & here]
    return [
        outcomes.mean(at["hit"], 1.0 * (first & here)),
        outcomes.mean(at["hit"], 1.0 * (~first & here)),
        outcomes.mean(at["before"], 1.0 * here),
        float(again.mean()) if len(again) else "",
        float(false),
    ]


def _synthetic(forest: Forest) -> None:
    rows = list[list[object]]()
    for seed in SEEDS:
        yard = Synthetic(seed)
        data = yard.data(scored(yard.columns, forest, SHIPPED).alert)
        for name, threshold in (("everything", ANY), ("warnings", WARNING)):
            families = yard.module.summary(yard.module.judge(data, threshold))
            passed = sum(family["passes"] for family in families.values())
            false = float(np.mean([family["false_per_week"] for family in families.values()]))
            rows.append([f"seed {seed}, {name}", passed, second_outages(data, threshold), false])
    table("Made-up operation", ["", "families of 30", "second of 36", "false a week"], rows)


def second_outages(data: list[Any], threshold: float) -> int:
    """How many second outages of made-up operation are heard by themselves."""
    count = 0
    for name, truth, times, score in data:
        if name.startswith("second_"):
            on = score >= threshold
            begins = times[on & ~np.concatenate([[False], on[:-1]])]
            start, end, _ = truth["announce"][1]
            count += bool(((begins >= start) & (begins < end)).any())
    return count


if __name__ == "__main__":
    main()
