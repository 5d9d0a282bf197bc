"""Laws that hold for the whole engine on any stream."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.detector.detectors.engine import FEATURES, Engine, Settings
from tests.detector.detectors import made
from tests.properties import examples

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True, width=64)


def test_a_score_does_not_depend_on_what_comes_later() -> None:
    """The scores of a prefix are the prefix of the scores."""
    whole = made.stream()
    full = made.engine(3).process(*whole)
    for stop in (1, 100, 617, 1100):
        prefix = made.engine(3).process(*made.cut(whole, 0, stop))
        np.testing.assert_array_equal(prefix.raw, full.raw[:stop])
        np.testing.assert_array_equal(prefix.alert, full.alert[:stop])
        np.testing.assert_array_equal(prefix.expected_low, full.expected_low[:stop])


def test_the_same_stream_gives_the_same_scores() -> None:
    whole = made.stream(seed=4)
    made.assert_same(made.engine(3).process(*whole), made.engine(3).process(*whole))


@given(st.lists(st.integers(0, 1200), max_size=8), st.integers(0, 3))
@examples(25)
def test_scores_do_not_depend_on_how_a_stream_is_cut_into_batches(
    cuts: list[int], seed: int
) -> None:
    whole = made.stream(seed=seed)
    once, pieces = made.engine(3), made.engine(3)
    edges = [0, *sorted(cuts), 1200]
    parts = [pieces.process(*made.cut(whole, a, b)) for a, b in itertools.pairwise(edges)]
    made.assert_same(once.process(*whole), made.joined(parts))
    np.testing.assert_array_equal(once.take_training_rows(), pieces.take_training_rows())


@given(st.integers(0, 1200))
@examples(25)
def test_an_engine_restored_in_mid_stream_goes_on_with_the_same_scores(stop: int) -> None:
    whole, all_rows = made.stream(), np.arange(3, dtype=np.int32)
    undisturbed, first, second = made.engine(3), made.engine(3), made.engine(3)
    before = first.process(*made.cut(whole, 0, stop))
    second.import_rows(all_rows, first.export_rows(all_rows))
    after = second.process(*made.cut(whole, stop, 1200))
    made.assert_same(undisturbed.process(*whole), made.joined([before, after]))


def test_series_do_not_touch_each_other() -> None:
    """A series scores the same alone as among others, whatever row it has."""
    rows, times, values = made.stream()
    together = made.engine(3).process(rows, times, values)
    mine = rows == 1
    alone = made.engine(1).process(np.zeros(mine.sum(), np.int32), times[mine], values[mine])
    np.testing.assert_array_equal(alone.raw, together.raw[mine])
    np.testing.assert_array_equal(alone.alert, together.alert[mine])


@given(st.lists(st.tuples(st.integers(-(2**62), 2**62), ANY_FLOAT), max_size=80))
@examples(60)
def test_whatever_comes_in_scores_stay_in_their_ranges(samples: list[tuple[int, float]]) -> None:
    """Any timestamps, any values: a score is NaN or in [0, 1], an alert in [0, 1)."""
    times, values = [t for t, _ in samples], [v for _, v in samples]
    batch = made.one(values, times or [])
    scores = made.engine(1, Settings(warm_up=2)).process(*batch)
    raw = scores.raw[~np.isnan(scores.raw)]
    assert ((raw >= 0) & (raw <= 1)).all()
    assert ((scores.alert >= 0) & (scores.alert < 1)).all()
    assert np.isfinite(scores.features).all()
    warm = scores.warm
    assert np.isfinite(scores.expected_low[warm]).all()
    assert (scores.expected_low[warm] <= scores.expected_high[warm]).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_is_not_scored_and_changes_nothing(bad: float) -> None:
    clean, dirty = made.engine(1), made.engine(1)
    first = made.one([float(n % 7) for n in range(60)])
    last = made.one([3.0], [made.START_MS + 99 * made.MINUTE_MS])
    clean.process(*first)
    dirty.process(*first)
    scores = dirty.process(*made.one([bad], [made.START_MS + 98 * made.MINUTE_MS]))
    assert np.isnan(scores.raw[0])
    assert scores.alert[0] == 0
    made.assert_same(clean.process(*last), dirty.process(*last))


@pytest.mark.parametrize("late_by_ms", [0, 1, 10**12])
def test_a_repeated_or_out_of_order_timestamp_is_not_scored_and_changes_nothing(
    late_by_ms: int,
) -> None:
    clean, dirty = made.engine(1), made.engine(1)
    first = made.one([float(n % 7) for n in range(60)])
    clean.process(*first)
    dirty.process(*first)
    scores = dirty.process(*made.one([999.0], [made.START_MS + 59 * made.MINUTE_MS - late_by_ms]))
    assert np.isnan(scores.raw[0])
    row = np.zeros(1, np.int32)
    assert clean.export_rows(row) == dirty.export_rows(row)


def test_two_samples_are_warm_up() -> None:
    scores = made.engine(1).process(*made.one([1.0, 2.0]))
    assert np.isnan(scores.raw).all()
    assert not scores.warm.any()


def test_a_constant_series_alerts_only_when_it_moves() -> None:
    scores = made.engine(1).process(*made.one([5.0] * 400 + [5.5] + [5.0] * 50))
    assert np.flatnonzero(scores.alert)[0] == 400
    assert scores.raw[400] > 0.9


@pytest.mark.parametrize("outlier", [1e6, -1e9, 1e308])
def test_one_outlier_does_not_hide_the_faults_after_it(outlier: float) -> None:
    """However far it was: a fault of 150 spreads is heard a day later."""
    random = np.random.default_rng(0)
    calm = random.normal(10.0, 1.0, 20_000)
    calm[2000], calm[18_000:18_010] = outlier, 160.0
    scores = made.engine(1).process(*made.one(calm.tolist()))
    assert scores.alert[18_000:18_010].max() > 0.5
    assert scores.expected_high[17_999] < 100.0


def test_series_that_come_side_by_side_are_scored_as_each_alone() -> None:
    """In any order, one of them twice in a row, more of them than pass the forest together."""
    series, random = 150, np.random.default_rng(5)
    rows, times, values = made.stream(series, ticks=120, seed=5)
    order = random.permuted(np.arange(len(rows)).reshape(-1, series), axis=1).reshape(-1)
    order[-series:] = np.sort(order[-series:])
    whole = np.append(order, order[-1])
    rows, values = rows[whole], values[whole]
    times = np.append(times[order], times[order[-1]] + made.MINUTE_MS)
    together = made.engine(series).process(rows, times, values)
    assert (together.alert > 0).any()
    for row in (0, 7, int(rows[-1])):
        mine = rows == row
        alone = made.engine(1).process(np.zeros(mine.sum(), np.int32), times[mine], values[mine])
        made.assert_same(made.chosen(together, mine), alone)


def test_without_numba_the_scores_are_the_same() -> None:
    script = (
        "import sys; sys.modules['numba'] = None\n"
        "from services.detector.detectors import jit\n"
        "from tests.detector.detectors import made\n"
        "assert not jit.COMPILED\n"
        "print(*made.some_scores())\n"
    )
    plain = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )
    assert plain.returncode == 0, plain.stderr[-2000:]
    found = np.array([float(each) for each in plain.stdout.split()])
    assert np.allclose(found, made.some_scores(), rtol=0.0, atol=1e-9)


def test_a_value_of_1e308_is_one_alert_and_the_series_recovers() -> None:
    random = np.random.default_rng(0)
    quiet = list(random.normal(10, 1, 300))
    scores = made.engine(1).process(*made.one([*quiet, 1e308, -1e308, *quiet]))
    assert scores.alert[300] > 0.5
    assert np.isfinite(scores.raw[300:]).all()
    assert scores.raw[-1] < 0.9


def test_a_series_that_changes_its_interval_goes_on_being_scored() -> None:
    minutes = [made.START_MS + n * made.MINUTE_MS for n in range(200)]
    hours = [minutes[-1] + n * 60 * made.MINUTE_MS for n in range(1, 200)]
    values = list(np.random.default_rng(0).normal(0, 1, 399))
    scores = made.engine(1).process(*made.one(values, minutes + hours))
    assert np.isfinite(scores.raw[20:]).all()


def test_without_a_model_the_engine_learns_but_gives_no_score() -> None:
    without = Engine(forest=None, settings=made.SETTINGS)
    without.add_series(3)
    scores = without.process(*made.stream())
    assert np.isnan(scores.raw).all()
    assert not scores.alert.any()
    assert not scores.warm.any()
    assert len(without.take_training_rows()) > 50


def test_a_model_swapped_in_scores_the_next_batch() -> None:
    whole = made.stream()
    swapped = Engine(forest=None, settings=made.SETTINGS)
    swapped.add_series(3)
    swapped.process(*made.cut(whole, 0, 600))
    swapped.use_forest(made.forest())
    assert np.isfinite(swapped.process(*made.cut(whole, 600, 603)).raw).all()


def test_the_expected_range_holds_most_of_what_comes() -> None:
    random = np.random.default_rng(2)
    values = random.normal(100, 5, 2000)
    scores = made.engine(1).process(*made.one(list(values)))
    inside = (values >= scores.expected_low) & (values <= scores.expected_high)
    assert inside[50:].mean() > 0.98


def test_contributions_name_the_feature_that_was_new() -> None:
    """A jump within the known range: the step is new, the height is not."""
    values = [float(n % 2) * 10 for n in range(20)] + [0.0, 0.1] * 200 + [10.0]
    made_engine = made.engine(1)
    scores = made_engine.process(*made.one(values))
    parts = made_engine.contributions(scores.features[-1:])[0]
    assert parts.shape == (len(FEATURES),)
    assert parts.sum() == pytest.approx(made.forest().score(scores.features[-1:])[0] - 0.5)


def test_a_series_needs_at_most_700_bytes_however_they_come() -> None:
    """A hundred thousand in 70 megabytes."""
    at_once, in_lots = Engine(forest=None), Engine(forest=None)
    at_once.add_series(10_000)
    for _ in range(50):
        in_lots.add_series(200)
    assert max(at_once.size_bytes, in_lots.size_bytes) <= 700 * 10_000


def test_one_series_fits_into_seven_hundred_bytes() -> None:
    data = made.engine(100).export_rows(np.arange(100, dtype=np.int32))
    assert (len(data) - 16) / 100 <= 700 - 2 * len(FEATURES)


@pytest.mark.parametrize(("lift", "clipped"), [(0.0, True), (-1.0, False)])
def test_nothing_below_zero_is_expected_of_a_series_that_never_was(
    lift: float, clipped: bool
) -> None:
    values = np.abs(np.random.default_rng(2).normal(0.0, 5.0, 500)) + lift
    times = made.START_MS + np.arange(500) * made.MINUTE_MS
    scores = made.engine(1).process(np.zeros(500, dtype=np.int32), times, values)
    low, high = scores.expected_low[100:], scores.expected_high[100:]
    assert (low >= 0.0).all() == clipped
    assert (low <= high).all()


def test_a_warning_is_rare_for_its_own_series() -> None:
    scores = made.engine(3).process(*made.stream(seed=2))
    warned = scores.alert >= 0.8
    assert warned.any()
    assert scores.raw[warned].min() >= 0.96
    assert ((scores.alert > 0) & (scores.raw < 0.96)).any()
