"""How quiet a fresh installation is: alarms on series of pure noise, for several noise budgets.

Nothing in these series deserves an alarm: every one is false. Four kinds of noise at three
intervals, two weeks each (one where a sample comes every second), ten series of each.
"""

import numpy as np
import numpy.typing as npt

from bench.detect_corpora import table
from services.detector.detectors.first_forest import first_forest
from services.detector.detectors.forest import Forest
from services.detector.detectors.replay import replay
from services.detector.detectors.settings import Settings

BUDGETS = (None, 4.0, 2.0, 1.0)
INTERVALS_S = {1: 7.0, 15: 14.0, 60: 14.0, 300: 14.0}
"""Days by interval."""
SERIES = 10
KINDS = ("normal", "Student t(3)", "Poisson", "autoregressive")
HEADER = ["alerts per week asked for", "interval s", "alarms per series-week", "worst series"]

F64 = npt.NDArray[np.float64]


def main() -> None:
    """Prints the table."""
    forest = first_forest()
    rows = [_row(forest, budget, *each) for budget in BUDGETS for each in INTERVALS_S.items()]
    table("Alarms on pure noise", HEADER, rows)


def _row(forest: Forest, budget: float | None, interval_s: int, days: float) -> list[object]:
    samples = int(days * 86_400 / interval_s)
    values = np.array([_noise(n, samples) for n in range(SERIES * len(KINDS))])
    times, settings = np.arange(samples) * interval_s * 1000, Settings(alerts_per_week=budget)
    scores = [replay(times, each, forest=forest, settings=settings) for each in values]
    per_week = np.array([np.count_nonzero(each.alert) for each in scores]) * 7.0 / days
    said: object = "all speak" if budget is None else budget
    return [said, interval_s, float(per_week.mean()), float(per_week.max())]


def _noise(seed: int, samples: int) -> F64:
    random = np.random.default_rng(seed)
    kind = seed % len(KINDS)
    if kind == 0:
        return random.normal(50.0, 5.0, samples)
    if kind == 1:
        return 50.0 + random.standard_t(3.0, samples)
    if kind == 2:
        return random.poisson(4.0, samples).astype(np.float64)
    shocks = random.normal(0.0, 1.0, samples)
    return np.array(_smoothed(shocks))


def _smoothed(shocks: F64) -> list[float]:
    level, out = 0.0, []
    for shock in shocks.tolist():
        level = 0.95 * level + shock
        out.append(level)
    return out


if __name__ == "__main__":
    main()
