"""How far one series left its baseline."""

import numpy as np
import pytest

from services.explainer.model.windows import SeriesWindow
from services.explainer.rankers.deviation import UNCHANGED, deviation
from services.explainer.rankers.measures import Measure
from services.explainer.rankers.moves import move_of
from tests.explainer.rankers.cases import OBSERVED, START_MS, STEP_MS, USUAL, series, window

NOISE = 10.0 + np.random.default_rng(1).standard_normal(USUAL)


def observed(*values: float) -> SeriesWindow:
    """Noise around 10 with spread 1, then these values."""
    return window("cart", "latency", [*NOISE[: USUAL + OBSERVED - len(values)], *values])


def test_a_rise_has_a_direction_a_size_and_a_time() -> None:
    found = deviation(observed(10.0, 30.0, 30.0, 30.0, 30.0))
    assert found.direction == 1
    assert found.change_ms == START_MS + STEP_MS
    assert found.size == pytest.approx((30.0 - found.baseline) / found.spread, rel=0.05)
    assert found.observed == 30.0


def test_a_fall_is_told_as_a_fall() -> None:
    found = deviation(observed(1.0, 1.0, 1.0, 1.0, 1.0))
    assert (found.direction, found.observed) == (-1, 1.0)
    assert found.baseline == pytest.approx(10.0, abs=0.3)


def test_a_lone_spike_is_not_a_level() -> None:
    assert deviation(observed(10.0, 10.0, 90.0, 10.0, 10.0), towards=1).size < 1.0


def test_what_was_so_before_the_event_did_not_change() -> None:
    values = np.concatenate([NOISE[:-5], np.full(5, 30.0), np.full(5, 30.0)])
    assert deviation(window("cart", "latency", values), towards=1).size == 0.0


def test_a_series_that_often_jumps_must_jump_farther() -> None:
    calm, jumpy = NOISE.copy(), NOISE.copy()
    jumpy[::10] = 20.0
    jumpy[-5:] = 10.0
    step = [20.0] * OBSERVED
    rare = deviation(window("cart", "latency", [*calm, *step])).size
    assert rare > 3 * deviation(window("cart", "latency", [*jumpy, *step])).size


def test_a_small_step_of_a_flat_series_is_small() -> None:
    flat = window("cart", "cpu", [10.0] * USUAL + [10.4] * OBSERVED)
    assert deviation(flat).size < 1.0


def test_the_unit_does_not_matter() -> None:
    in_s = series("cart", "latency", observed=40.0)
    in_ms = window("cart", "latency", in_s.values * 1000)
    assert deviation(in_ms).size == pytest.approx(deviation(in_s).size)


@pytest.mark.parametrize("values", [[], [np.nan] * 125, [1.0] * 5, [np.nan] * 120 + [1.0] * 5])
def test_nothing_to_compare_is_unchanged(values: list[float]) -> None:
    assert deviation(window("cart", "latency", values)) == UNCHANGED


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_odd_values_are_left_out(odd: float) -> None:
    plain = observed(30.0, 30.0, 30.0, 30.0, 30.0)
    values = plain.values.copy()
    values[::7] = odd
    assert 5.0 < deviation(window("cart", "latency", values)).size < 100.0


def test_huge_values_do_not_overflow() -> None:
    huge = window("cart", "latency", [1e308, -1e308] * 60 + [1.7e308] * OBSERVED)
    assert np.isfinite(deviation(huge).size)


@pytest.mark.parametrize("ceiling", [1.0, 100.0])
def test_availability_is_judged_by_what_is_missing(ceiling: float) -> None:
    """A fall from 99.9 % to 96 % is large although it is a small share of the level."""
    short = np.abs(NOISE - 10.0) / 1000
    values = ceiling * (1.0 - np.concatenate([short, np.full(OBSERVED, 0.04)]))
    found = move_of(window("cart", "availability", values), Measure.AVAILABILITY).deviation
    assert found.size > 10.0
    assert found.direction == -1
    assert found.observed == pytest.approx(0.96 * ceiling)
