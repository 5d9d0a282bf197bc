"""Is the right cause first, and is nobody named when nothing is wrong?

Ranks the recorded incidents of `$SENSUS_BENCH_DIR/rca` (default `../shared/bench/rca`) by rules
alone and scores them with its `rca_eval.py`: AC@k is the share of incidents with the cause
among the first k, Avg@5 the mean of AC@1..5. Beside ours: any order, the largest deviation of
any metric, the alerting service first, and the service whose error lines rose most. Then what the
weights are worth on a system that they were not chosen on, the windows without a fault, how far
confidence can be trusted, and the incidents that ask which change was to blame. Labels are read
here only, after ranking.

    make bench-explain    or   python bench/explain.py
"""

import importlib.util
import itertools
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.faultless import faultless_cases
from bench.left_out import Ranks, Scorer, Scores, left_out
from cli.rank.incidents import Incident, find_incidents
from services.explainer.model.ranking import Ranking
from services.explainer.rankers import rank, rank_changes
from services.explainer.rankers.counts import is_bad_count
from services.explainer.rankers.largest import LargestDeviation

ROOT = Path(__file__).parents[1]
FIGURES = ("AC@1", "AC@3", "Avg@5")
GOAL = {"AC@1": 0.84, "AC@3": 0.90, "Avg@5": 0.87}
SPECIFICITY_GOAL = 0.95
SHUFFLES = 200
BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.01)


def main() -> None:
    """Print every table; exit status 1 when a goal is missed, 0 when there is nothing to read."""
    directory = ROOT / os.environ.get("SENSUS_BENCH_DIR", "../shared/bench") / "rca"
    console = Console(width=120)
    if not directory.is_dir():
        console.print(f"skipped: {directory} is missing (set SENSUS_BENCH_DIR)")
        return
    incidents = list(find_incidents(directory))
    services = [i for i in incidents if i.answers == "service"]
    changes = [i for i in incidents if i.answers == "change"]
    began_s = time.perf_counter()
    rankings = {i.id: rank(i.case) for i in services}
    took_ms = (time.perf_counter() - began_s) * 1000 / max(len(services), 1)
    labels = _labels(directory)
    met = [
        _print_ranking(console, services, rankings, labels, _scorer(directory), took_ms),
        _print_faultless(console, directory, services, rankings, labels),
        _print_changes(console, changes, labels),
    ]
    sys.exit(0 if all(met) else 1)


def _print_ranking(
    console: Console,
    incidents: Sequence[Incident],
    rankings: Mapping[str, Ranking],
    labels: Mapping[str, Any],
    score: Scorer,
    took_ms: float,
) -> bool:
    ours = {id: [s.entity for s in found.suspects] for id, found in rankings.items()}
    simple = {
        "largest deviation": {i.id: _by_deviation(i) for i in incidents},
        "alerting service": {i.id: _alerting_first(i) for i in incidents},
        "error lines": {i.id: _by_error_lines(i) for i in incidents},
    }
    table = Table(title=f"{' / '.join(FIGURES)} of the cause, {took_ms:.0f} ms per incident")
    for column in ("incidents", "n", "random", *simple, "ours"):
        table.add_column(column, justify="left" if column == "incidents" else "right")
    met = True
    for name, ids in {**_by_collection(incidents), "pooled": list(ours)}.items():
        asked = {id: labels[id] for id in ids}
        beside = {who: score(ranks, asked) for who, ranks in simple.items()}
        beside["random"] = _random(ours, asked, score)
        found = score(ours, asked)
        met &= all(found[f] >= max(b[f] for b in beside.values()) for f in FIGURES)
        met &= name != "pooled" or all(found[f] >= GOAL[f] for f in FIGURES)
        cells = [beside["random"], *(beside[who] for who in simple), found]
        table.add_row(name, str(len(ids)), *(_cell(each) for each in cells))
    console.print(table)
    console.print(f"goal: pooled {_cell(GOAL)}, no set below a simple one: {_told(met)}")
    unseen = left_out(incidents, labels, score)
    told = ", ".join(f"{system} {_cell(found)}" for system, found in unseen.items())
    console.print(f"weights chosen without the system: {told}\n")
    return met


def _print_faultless(
    console: Console,
    directory: Path,
    incidents: Sequence[Incident],
    rankings: Mapping[str, Ranking],
    labels: Mapping[str, Any],
) -> bool:
    quiet: dict[str, list[Ranking]] = defaultdict(list)
    for name, case in faultless_cases(directory):
        quiet[name].append(rank(case))
    table = Table(title="Naming somebody with confidence")
    for column in ("windows", "fault-free", "nobody named", "incidents", "named", "right if named"):
        table.add_column(column, justify="left" if column == "windows" else "right")
    collections = _by_collection(incidents)
    for name, ids in {**collections, "pooled": list(rankings)}.items():
        silent = quiet[name] if name in quiet else [r for each in quiet.values() for r in each]
        named = [id for id in ids if not rankings[id].abstained]
        right = [id for id in named if _right(rankings[id], labels[id])]
        table.add_row(
            name,
            str(len(silent)),
            f"{_share([r.abstained for r in silent]):.2f}",
            str(len(ids)),
            f"{len(named) / len(ids):.2f}",
            f"{len(right) / max(len(named), 1):.2f}",
        )
    specificity = _share([r.abstained for each in quiet.values() for r in each])
    met = specificity >= SPECIFICITY_GOAL
    console.print(table)
    console.print(f"goal: nobody named in {SPECIFICITY_GOAL:.0%} of fault-free: {_told(met)}")
    told = [(r.confidence, _right(r, labels[id])) for id, r in rankings.items()]
    told += [(r.confidence, False) for each in quiet.values() for r in each]
    console.print(f"confidence -> right, incidents and fault-free: {_reliability(told)}\n")
    return met


def _print_changes(
    console: Console, incidents: Sequence[Incident], labels: Mapping[str, Any]
) -> bool:
    told: dict[str, int] = defaultdict(int)
    for incident in incidents:
        found = rank_changes(incident.case)
        named = "none" if found.abstained else found.suspects[0].entity
        answer, decoys = labels[incident.id]["root_cause_commit"], labels[incident.id]["decoys"]
        told["decoy"] += named in decoys
        told["right"] += named == answer != "none"
        told["asked"] += answer != "none"
        told["none"] += answer == "none"
        told["abstained"] += named == answer == "none"
    met = told["decoy"] <= 1 and told["abstained"] == told["none"]
    console.print(
        f"change to blame: {told['right']} of {told['asked']} named, {told['decoy']} decoys named, "
        f"{told['abstained']} of {told['none']} without a cause abstained; "
        f"goal at most 1 decoy, all abstained: {_told(met)}"
    )
    return met


def _by_deviation(incident: Incident) -> list[str]:
    return [s.entity for s in LargestDeviation().rank(incident.case).suspects]


def _alerting_first(incident: Incident) -> list[str]:
    return list(dict.fromkeys([incident.case.subject.service, *_by_deviation(incident)]))


def _by_error_lines(incident: Incident) -> list[str]:
    """By how much more error lines a minute there are than in fault-free ones."""
    risen: dict[str, float] = dict.fromkeys(_by_deviation(incident), 0.0)
    for window in filter(is_bad_count, incident.case.series):
        seen, usual = window.values[window.inside], window.values[window.usual]
        if seen.size and usual.size:
            risen[window.service] = float(np.nanmean(seen) - np.nanmean(usual))
    return sorted(risen, key=lambda service: -risen[service])


def _random(ranks: Ranks, labels: Mapping[str, Any], score: Scorer) -> Scores:
    dice = np.random.default_rng(0)
    shuffled = [
        score({id: list(dice.permutation(sorted(ranks[id]))) for id in labels}, labels)
        for _ in range(SHUFFLES)
    ]
    return {f: float(np.mean([each[f] for each in shuffled])) for f in FIGURES}


def _reliability(told: Sequence[tuple[float, bool]]) -> str:
    parts = []
    for low, high in itertools.pairwise(BINS):
        inside = [(said, right) for said, right in told if low <= said < high]
        if inside:
            said = float(np.mean([s for s, _ in inside]))
            parts.append(f"{said:.2f} -> {_share([r for _, r in inside]):.2f} (n={len(inside)})")
    return ", ".join(parts)


def _by_collection(incidents: Sequence[Incident]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for incident in incidents:
        found[incident.collection].append(incident.id)
    return dict(found)


def _labels(directory: Path) -> dict[str, Any]:
    files = sorted((directory / "labels").glob("*.json"))
    return {id: label for path in files for id, label in json.loads(path.read_text()).items()}


def _scorer(directory: Path) -> Scorer:
    spec = importlib.util.spec_from_file_location("rca_eval", directory / "rca_eval.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(directory / "rca_eval.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    scorer: Scorer = module.score
    return scorer


def _right(found: Ranking, label: Mapping[str, Any]) -> bool:
    return bool(found.suspects) and found.suspects[0].entity in label["root_cause"]


def _share(answers: Sequence[bool]) -> float:
    return float(np.mean(answers)) if answers else 0.0


def _cell(scores: Mapping[str, float]) -> str:
    return "/".join(f"{scores[f]:.2f}".lstrip("0") for f in FIGURES)


def _told(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    main()
