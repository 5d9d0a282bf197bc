"""What the noise budget does to young series, and what feedback does to the budget."""

import numpy as np
import numpy.typing as npt
import pytest

from services.detector.detectors.engine import Scores, Settings
from tests.detector.detectors import made

F64 = npt.NDArray[np.float64]
SETTINGS = Settings(alerts_per_week=4.0)
SERIES = 20


def scored(values: F64) -> Scores:
    """Series of one sample a second through an engine with a budget."""
    engine = made.engine(len(values), SETTINGS)
    count = values.shape[1]
    rows = np.repeat(np.arange(len(values), dtype=np.int32), count)
    times = np.tile(made.START_MS + np.arange(count, dtype=np.int64) * 1000, len(values))
    return engine.process(rows, times, values.reshape(-1))


def noise(samples: int) -> F64:
    return np.random.default_rng(5).normal(50.0, 2.0, (SERIES, samples))


@pytest.mark.parametrize("at", [300, 600, 1500])
def test_the_first_strong_fault_of_a_young_series_is_heard(at: int) -> None:
    values = noise(at + 30)
    values[:, at:] += 40.0
    alert = scored(values).alert.reshape(values.shape)
    assert (alert[:, at:].max(axis=1) > 0).mean() >= 0.95


def test_the_noise_of_a_young_series_stays_silent() -> None:
    assert np.count_nonzero(scored(noise(3000)).alert) <= SERIES // 10


def test_an_alert_that_nobody_wants_costs_nothing() -> None:
    """Faults use up what may be owed, unless nobody wanted to hear of them."""
    values = noise(2410)
    for at, size in ((600, 40.0), (1000, -40.0), (1400, 60.0), (1800, -60.0), (2400, 400.0)):
        values[:, at : at + 10] += size
    assert heard_at_the_end(values, silent_before=0) <= 0.1
    assert heard_at_the_end(values, silent_before=2000) >= 0.9


def heard_at_the_end(values: F64, silent_before: int) -> float:
    """Share of the series, one sample in ten minutes, whose last ten samples give an alert."""
    engine = made.engine(len(values), Settings(alerts_per_week=0.2))
    rows, heard = np.arange(len(values), dtype=np.int32), np.zeros(len(values), dtype=np.bool_)
    for tick, now in enumerate(values.T):
        engine.require(rows, np.full(len(rows), 0.98 if tick < silent_before else 0.0))
        scores = engine.process(rows, np.full(len(rows), made.START_MS + tick * 600_000), now)
        if tick >= values.shape[1] - 10:
            heard |= scores.alert > 0
    return float(heard.mean())


def test_a_series_with_a_larger_allowance_raises_more_alerts() -> None:
    values = noise(5000)
    engine, heard = made.engine(len(values), Settings(warm_up=20, alerts_per_week=20.0)), 0
    rows, half = np.arange(len(values), dtype=np.int32), len(values) // 2
    engine.require(rows[:0], np.zeros(0))
    engine.require(rows[:half], np.zeros(half), np.full(half, 2.0))
    for tick, now in enumerate(values.T):
        alert = engine.process(rows, np.full(len(rows), made.START_MS + tick * 600_000), now).alert
        heard += int((alert[:half] > 0).sum()) - int((alert[half : 2 * half] > 0).sum())
    assert heard > 0


def test_a_bar_of_an_unknown_row_is_refused() -> None:
    engine = made.engine(1)
    with pytest.raises(ValueError, match="row out of range: the engine holds 1 series"):
        engine.require(np.array([1], dtype=np.int32), np.array([0.5]))


@pytest.mark.parametrize("per_week", [0.5, 2.0, 10.0])
def test_the_noise_budget_is_never_passed(per_week: float) -> None:
    """Ten weeks of hourly noise with spikes and faults: weeks times the budget, and three owed."""
    random = np.random.default_rng(3)
    values = random.standard_t(2, 24 * 70)
    for at in range(100, len(values), 48):
        values[at : at + 3] += 10.0 * at
    times = [made.START_MS + n * 3_600_000 for n in range(len(values))]
    bounded = made.engine(1, Settings(warm_up=20, alerts_per_week=per_week))
    announced = np.count_nonzero(bounded.process(*made.one(list(values), times)).alert)
    free = np.count_nonzero(made.engine(1).process(*made.one(list(values), times)).alert)
    assert 1 <= announced <= 3 + 10 * per_week * (1 + 1 / 16)
    assert announced < free
