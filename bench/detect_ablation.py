"""What each part of the engine is worth: every yardstick again without it.

`python -m bench.detect_ablation [PART ...]`. The engine is copied, the part is taken out of the
copy, and a process of its own measures that: the product has no switches for it. Of the labelled
series the left-out figures are told, of incidents and made-up operation what the engine says as
shipped, and H.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, cast

import numpy as np

from bench.detect import (
    ANY,
    OPEN,
    SHIPPED,
    WARNING,
    heard,
    left_out_groups,
    scored,
    second_outages,
)
from bench.detect_corpora import COLLECTIONS, ROOT, table
from bench.detect_yardsticks import SEEDS, Incidents, Labelled, Synthetic
from services.detector.detectors.contexts import FEATURES
from services.detector.detectors.first_forest import first_forest
from services.detector.detectors.forest import Forest

ENGINE: Final = Path("services/detector/detectors")
LAST_FEATURE: Final = '        found[context] = novelty.surprise(met["rarity"][context])\n'
Change = tuple[str, str, str]
"""A file of the engine, what stands there, and what shall stand there."""

CHANGES: Final[dict[str, Change | None]] = {
    "nothing": None,
    **{
        name: ("contexts.py", LAST_FEATURE, f"{LAST_FEATURE}    found[{place}] = 0.0\n")
        for place, name in enumerate(FEATURES)
    },
    "forest": ("forest.py", "out[i] *= max(score - trees.calm, 0.0)", "out[i] *= 0.5"),
}
HEADER: Final = [
    "without", "NAB standard", "F1", "cloud standard", "F1", "incidents H", "further heard",
    "false a week", "families of 90", "second of 108", "false a week",
]  # fmt: skip


def main() -> None:
    """Prints the table."""
    if sys.argv[1:] == ["--measure"]:
        print(json.dumps(_figures(first_forest(0))))
        return
    rows = [[name, *_without(CHANGES[name])] for name in sys.argv[1:] or CHANGES]
    table("Without a part of the engine", HEADER, rows)


def _without(change: Change | None) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("services", "bench", "mesh", "cli"):
            shutil.copytree(ROOT / name, Path(folder) / name)
        if change is not None:
            file, old, new = Path(folder) / ENGINE / change[0], change[1], change[2]
            source = file.read_text()
            if source.count(old) != 1:
                raise SystemExit(f"{change[0]} has changed: no single place reads {old!r}")
            file.write_text(source.replace(old, new))
        bench = {"SENSUS_BENCH_DIR": os.environ.get("SENSUS_BENCH_DIR", ROOT / "../shared/bench")}
        path = os.pathsep.join([folder, str(ROOT / "gen")])
        found = subprocess.run(
            [sys.executable, "-m", "bench.detect_ablation", "--measure"],
            cwd=folder,
            env={**os.environ, **bench, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            check=True,
        )
    return list(json.loads(found.stdout.splitlines()[-1]))


def _figures(forest: Forest) -> list[float]:
    return [*_labelled(forest), *_incidents(forest), *_synthetic(forest)]


def _labelled(forest: Forest) -> list[float]:
    yard, found = Labelled(), list[float]()
    for name in COLLECTIONS:
        columns = yard.columns[name]
        alert = dict(columns.parts(scored(columns, forest, OPEN).alert))
        standard, _, f1 = left_out_groups(yard.scorer, yard.corpora[name], alert)
        found += [standard, f1]
    return found


def _incidents(forest: Forest) -> list[float]:
    yard = Incidents()
    outcomes = yard.detector(scored(yard.columns, forest, OPEN).alert)
    shipped = yard.detector(scored(yard.columns, forest, SHIPPED).alert)
    _, further, _, _, false = heard(shipped, ANY)
    return [yard.height(outcomes), cast(float, further), cast(float, false)]


def _synthetic(forest: Forest) -> list[float]:
    passed, again, false = 0, 0, list[float]()
    for seed in SEEDS:
        yard = Synthetic(seed)
        data = yard.data(scored(yard.columns, forest, SHIPPED).alert)
        families = yard.module.summary(yard.module.judge(data, WARNING)).values()
        passed += sum(family["passes"] for family in families)
        false += [family["false_per_week"] for family in families]
        again += second_outages(data, WARNING)
    return [passed, again, float(np.mean(false))]


if __name__ == "__main__":
    main()
