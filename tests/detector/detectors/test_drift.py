"""A level that drifts is announced in time, once, and nothing else is taken for a drift."""

import numpy as np
import numpy.typing as npt
import pytest

from services.detector.detectors.engine import Scores, Settings
from services.detector.detectors.episode import STAYS
from tests.detector.detectors import made

STEP_MS, PER_DAY, DAYS = 300_000, 288, 15
LEAKS_FROM = 10 * PER_DAY
SHIPPED = Settings(alerts_per_week=4.0)

F64 = npt.NDArray[np.float64]


def scores(values: F64) -> Scores:
    times = made.START_MS + np.arange(len(values), dtype=np.int64) * STEP_MS
    return made.engine(1, SHIPPED).process(np.zeros(len(values), np.int32), times, values)


def noise(seed: int) -> F64:
    return 50.0 + np.random.default_rng(seed).normal(0.0, 1.0, DAYS * PER_DAY)


def leak(per_day: float) -> F64:
    days = np.arange(DAYS * PER_DAY) / PER_DAY
    return per_day * np.maximum(days - LEAKS_FROM / PER_DAY, 0.0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("per_day", "days"), [(15.0, 1), (-15.0, 1), (10.0, 2)])
def test_a_leak_is_a_warning_within_days(per_day: float, days: int, seed: int) -> None:
    """Of fifteen spreads of its noise a day within a day, of ten within two."""
    alert = scores(noise(seed) + leak(per_day)).alert >= 0.8
    assert not alert[:LEAKS_FROM].any()
    assert alert[LEAKS_FROM : LEAKS_FROM + days * PER_DAY].any()


def test_a_drift_tells_the_range_that_was_left_and_is_over_at_once() -> None:
    found = scores(noise(1) + leak(15.0))
    at = int(np.flatnonzero(found.drifted)[0])
    assert 48.0 < found.expected_low[at] < found.expected_high[at] < 53.0 < found.value[at]
    assert 0.96 < found.raw[at] < 1.0
    assert found.ended[at + 1] == STAYS


def test_a_leak_that_goes_on_is_told_once_a_week() -> None:
    assert np.count_nonzero(scores(noise(2) + leak(15.0)).drifted) == 1


@pytest.mark.parametrize("seed", range(4))
def test_noise_weekends_bursts_and_steady_growth_are_no_drift(seed: int) -> None:
    """A disk that fills as it always has grows, too; a burst of hours is an episode of its own."""
    days = np.arange(DAYS * PER_DAY) / PER_DAY
    daily = 10.0 * np.sin(2.0 * np.pi * days)
    weekend = np.where((days.astype(int) + 2) % 7 >= 5, 0.5, 1.0)
    burst = np.where((days > 11.0) & (days < 11.1), 20.0, 0.0)
    for values in (noise(seed), weekend * (noise(seed) + daily), noise(seed) + 5.0 * days):
        assert not scores(values).drifted.any()
    assert not scores(noise(seed) + burst).drifted.any()


def test_a_new_level_is_told_as_a_jump_and_not_again_as_a_drift() -> None:
    jump = np.where(np.arange(DAYS * PER_DAY) < LEAKS_FROM, 0.0, 30.0)
    found = scores(noise(3) + jump)
    assert found.alert[LEAKS_FROM : LEAKS_FROM + 3].max() >= 0.8
    assert not found.drifted.any()
