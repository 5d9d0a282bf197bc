"""Injected anomalies: where they may stand, and that nothing given is harmed."""

import numpy as np
import pytest

from services.detector.detectors.evaluation import (
    BEFORE,
    PER_SERIES,
    SAMPLES_MIN,
    Track,
    count_detected,
    injected_precision,
    made_up,
    material,
    scored,
)
from tests.detector.signals import forest


def track(values: "np.typing.ArrayLike") -> Track:
    row = np.asarray(values, dtype=np.float64)
    return Track(np.arange(len(row), dtype=np.int64) * 60_000, row)


def test_anomalies_stand_apart_and_after_a_calm_beginning() -> None:
    random = np.random.default_rng(0)
    rows = [random.normal(0, 1, length) for length in (SAMPLES_MIN, 777, 1500)]
    made = material([track(row) for row in rows])
    for index, row in enumerate(rows):
        mine = made.rows == index
        marks = made.injected[mine]
        starts = np.flatnonzero(np.diff(marks.astype(int)) == 1) + 1
        assert len(starts) == PER_SERIES
        assert starts.min() >= BEFORE
        changed = made.values[mine] != row
        assert changed.any()
        assert not (changed & ~marks).any()


def test_the_same_tracks_give_the_same_material() -> None:
    one, two = material(made_up(3)), material(made_up(3))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("value", [0.0, 100.0, 1e308, -1e308])
def test_a_constant_series_is_disturbed_and_stays_finite(value: float) -> None:
    given = track(np.full(900, value))
    made = material([given])
    assert np.isfinite(made.values).all()
    assert len(np.unique(made.values)) > 1
    assert (given.values == value).all()
    assert 0.0 < injected_precision(scored(forest(), made), made) <= 1.0


def test_loud_injected_anomalies_are_heard_and_none_where_nothing_is_loud() -> None:
    random = np.random.default_rng(0)
    calm = [track(np.sin(np.arange(1500) / 40.0) + random.normal(0, 0.02, 1500)) for _ in range(4)]
    made = material(calm)
    assert 8 <= count_detected(scored(forest(), made), made) <= 4 * PER_SERIES
    silent = made._replace(values=np.zeros(len(made.values)))
    assert count_detected(scored(forest(), silent), silent) == 0


def test_a_short_track_is_refused() -> None:
    with pytest.raises(ValueError, match=f"at least {SAMPLES_MIN} samples"):
        material([track(np.zeros(SAMPLES_MIN - 1))])
