"""What feedback does: false alarms and recall of a replay in which a person judges every alarm.

An alarm inside a labelled window is judged true, any other false, within ten samples.
Windows that held any alarm count as found. One replay without feedback, one with; the same forest.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.detect_corpora import COLLECTIONS, Corpus, corpora_or_exit, series_of, table, weeks
from services.detector.detectors.engine import Engine
from services.detector.detectors.first_forest import first_forest
from services.detector.detectors.forest import Forest
from services.detector.detectors.settings import Settings
from services.detector.detectors.strictness import strictness

BUDGETS = (None, 4.0, 2.0, 1.0)
AT_ONCE = 10
HEADER = ["collection", "alerts per week", "feedback", "false alarms per series-week", "recall"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class Heard(NamedTuple):
    """False alarms, windows found, windows there are."""

    false: int
    found: int
    windows: int


def main() -> None:
    """Prints the table."""
    _, corpora = corpora_or_exit()
    forest = first_forest()
    rows = [
        row
        for name in COLLECTIONS
        for budget in BUDGETS
        for row in _rows(name, corpora[name], forest, budget)
    ]
    table("Feedback on a replay, open part", HEADER, rows)


def _rows(name: str, corpus: Corpus, forest: Forest, budget: float | None) -> list[list[object]]:
    settings, span = Settings(alerts_per_week=budget), weeks(corpus)
    rows: list[list[object]] = []
    for learns in (False, True):
        heard = [
            _listen(corpus[n], t, x, Engine(forest=forest, settings=settings), learns=learns)
            for n, t, x in series_of(corpus)
        ]
        false, found, windows = (sum(each) for each in zip(*heard, strict=True))
        budget_said = "all speak" if budget is None else budget
        said = "yes" if learns else "no"
        rows.append([name, budget_said, said, false / span, found / max(windows, 1)])
    return rows


def _listen(
    file: dict[str, Any], times: I64, values: F64, engine: Engine, *, learns: bool
) -> Heard:
    first = file["prob"]
    windows = [(a, b) for a, b in file["rng"] if b >= first]
    true_scores: list[float] = []
    false_scores: list[float] = []
    found: set[int] = set()
    rows = np.full(AT_ONCE, engine.add_series(1), dtype=np.int32)
    for start in range(0, len(values), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        alert = engine.process(rows[: len(values[part])], times[part], values[part]).alert
        for index in (np.flatnonzero(alert) + start).tolist():
            if index >= first:
                inside = [n for n, (a, b) in enumerate(windows) if a <= index <= b]
                found.update(inside)
                (true_scores if inside else false_scores).append(float(alert[index - start]))
        if learns:
            asked = strictness(false_scores, true_scores)
            engine.require(rows[:1], np.array([asked.bar]), np.array([asked.allowance]))
    return Heard(len(false_scores), len(found), len(windows))


if __name__ == "__main__":
    main()
