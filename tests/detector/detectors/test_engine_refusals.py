"""What the engine refuses, and that it says why."""

import numpy as np
import pytest

from services.detector.detectors.engine import FEATURES, Engine, Forest, Settings, train
from services.detector.detectors.training import grow
from tests.detector.detectors import made

ROW = np.zeros(1, np.int32)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="columns differ"):
        made.engine(1).process(ROW, np.zeros(2, np.int64), np.zeros(1))


@pytest.mark.parametrize("row", [-1, 1])
def test_a_row_that_does_not_exist_is_refused(row: int) -> None:
    rows = np.array([row], np.int32)
    with pytest.raises(ValueError, match="the engine holds 1 series"):
        made.engine(1).process(rows, np.ones(1, np.int64), np.ones(1))
    with pytest.raises(ValueError, match="the engine holds 1 series"):
        made.engine(1).import_rows(rows, made.engine(1).export_rows(ROW))


def test_state_of_another_version_is_refused() -> None:
    data = made.engine(1).export_rows(ROW)
    with pytest.raises(ValueError, match="another version"):
        made.engine(1).import_rows(ROW, b"SNSROW00" + data[8:])


@pytest.mark.parametrize("change", [-1, 1])
def test_state_of_another_size_is_refused_and_nothing_changes(change: int) -> None:
    target = made.engine(1)
    before = target.export_rows(ROW)
    data = before[:-1] if change < 0 else before + b"0"
    with pytest.raises(ValueError, match="expected"):
        target.import_rows(ROW, data)
    assert target.export_rows(ROW) == before


def test_a_forest_of_other_features_is_refused() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    other = Forest(**grow(rows, names=("x", "y"), seed=0)._asdict())
    with pytest.raises(ValueError, match="forest of other features"):
        Engine(forest=other)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (np.zeros((1, len(FEATURES))), "at least 2 rows"),
        (np.zeros((9, len(FEATURES) + 1)), "at least 2 rows of 7 features"),
        (np.full((9, len(FEATURES)), np.nan), "finite"),
    ],
)
def test_training_rows_that_cannot_be_learnt_are_refused(rows: np.ndarray, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        train(rows.astype(np.float32), seed=0)


@pytest.mark.parametrize(
    "settings", [{"warm_up": 1}, {"alerts_per_week": 0.0}, {"alerts_per_week": float("nan")}]
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Settings(**settings)  # type: ignore[arg-type]


def test_a_time_zone_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone 'Europe/Atlantis' is known here"):
        Engine(forest=None, settings=Settings(time_zone="Europe/Atlantis"))
