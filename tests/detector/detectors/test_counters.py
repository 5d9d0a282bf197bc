"""What is taken for a counter, and what of a counter is an event."""

import numpy as np
import numpy.typing as npt
import pytest

from services.detector.detectors import kinds
from services.detector.detectors.engine import Scores
from tests.detector.detectors import made


def counter(growth: npt.NDArray[np.float64]) -> list[float]:
    """Grows by so much each minute, and begins again from zero at the thousandth."""
    total = 1e9 + np.cumsum(growth)
    total[1000:] -= total[1000]
    return list(total)


@pytest.mark.parametrize("first", [0.0, 3.0])
def test_a_counter_that_begins_again_raises_no_alarm(first: float) -> None:
    """Nor when what it counted by its first sample shows in its second."""
    growth = np.random.default_rng(0).poisson(50, 1500).astype(np.float64)
    growth[1001] *= 1.0 + first
    made_engine = made.engine(1)
    scores = made_engine.process(*made.one(counter(growth)))
    assert made_engine.counters()[0]
    assert scores.alert[400:].max() < 0.8
    assert not scores.alert[995:1005].any()
    assert scores.expected_high[-1] < 2.0


@pytest.mark.parametrize("times", [0.0, 8.0])
def test_a_counter_that_stops_or_bursts_raises_an_alarm(times: float) -> None:
    growth = np.random.default_rng(0).poisson(50, 1500).astype(np.float64)
    growth[1300:1310] *= times
    scores = made.engine(1).process(*made.one(counter(growth)))
    assert scores.alert[1300:1310].max() > 0.8
    assert scores.alert[400:1300].max() < 0.8


def kinds_of(values: list[float], *, declared: bool) -> tuple[bool, Scores]:
    """Whether the series is taken for a counter in the end, and its scores."""
    made_engine = made.engine(1)
    if declared:
        made_engine.declare(np.zeros(1, np.int32), np.array([kinds.DECLARED], np.uint8))
    scores = made_engine.process(*made.one(values))
    return bool(made_engine.counters()[0]), scores


def test_a_counter_named_so_is_one_from_its_first_sample_for_good() -> None:
    """Also when one of the processes that it adds up begins again, time after time."""
    total = 1e6 + 100.0 * np.arange(800)
    for at in (200, 300, 310, 320, 600):
        total[at:] -= total[at] * 0.35
    is_counter, scores = kinds_of(list(total), declared=True)
    assert is_counter
    assert np.nanmax(scores.value[100:]) < 2.0
    assert kinds_of([100.0 - n % 7 for n in range(60)], declared=True)[0]


def test_a_gauge_that_falls_less_than_a_reset_is_taken_for_one_soon_after() -> None:
    rises_first = [*np.arange(1.0, 50.0), *(50.0 - np.arange(60) % 7)]
    assert not kinds_of(rises_first, declared=False)[0]


def test_a_counter_that_slips_now_and_then_stays_one() -> None:
    total = 1e6 + 100.0 * np.arange(800)
    for at in (200, 300, 400, 500, 600):
        total[at:] -= 50.0 * 100.0
    assert kinds_of(list(total), declared=False)[0]


def test_a_gauge_that_rises_step_by_step_and_halves_is_no_counter() -> None:
    """As a heap does that is collected."""
    assert not kinds_of([100.0 + n % 9 * 40.0 for n in range(900)], declared=False)[0]


@pytest.mark.parametrize("every", [2, 3])
def test_a_counter_that_begins_again_all_the_time_is_scored(every: int) -> None:
    values = [10.0 + 1000.0 * (n % every) for n in range(300)]
    is_counter, scores = kinds_of(values, declared=True)
    assert is_counter
    assert np.isfinite(scores.raw[-3 * every :]).sum() >= 3


@pytest.mark.parametrize("late_ms", [1000, 2000, 4000])
def test_an_even_counter_that_is_read_late_once_is_no_event(late_ms: int) -> None:
    """A rate over a step that is a tenth too long may be a tenth too low."""
    times = [made.START_MS + 10_000 * n for n in range(1200)]
    times[1000] += late_ms
    made_engine = made.engine(1)
    made_engine.declare(np.zeros(1, np.int32), np.array([kinds.DECLARED], np.uint8))
    scores = made_engine.process(*made.one([100.0 * n for n in range(1200)], times))
    assert scores.alert.max() < 0.5
    assert (scores.expected_high - scores.expected_low)[1000] > 0.5


def test_an_even_counter_that_counts_a_third_less_is_an_event() -> None:
    growth = np.full(1200, 100.0)
    growth[1000:1005] = 67.0
    assert kinds_of(list(np.cumsum(growth)), declared=True)[1].alert[1000:1005].max() > 0.8
