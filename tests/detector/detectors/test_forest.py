"""The forest against its oracle, and its stored form against damage."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.detector.detectors import forest as forest_module
from services.detector.detectors.forest import Forest
from services.detector.detectors.forest_format import MAGIC
from services.detector.detectors.training import grow
from tests.properties import examples

NAMES = ("a", "b", "c")


def _rows(count: int, seed: int) -> np.ndarray:
    """Rows with ties, zeros and a heavy tail."""
    random = np.random.default_rng(seed)
    rows = random.exponential(size=(count, 3)) * (random.random((count, 3)) < 0.6)
    rows[:, 1] = np.round(rows[:, 1], 1)
    return rows.astype(np.float32)


def _forest(count: int, *, seed: int = 0, trees: int = 100) -> Forest:
    return _grown(_rows(count, 0), seed=seed, trees=trees)


def _grown(rows: np.ndarray, *, seed: int, trees: int) -> Forest:
    return Forest(**grow(rows, names=NAMES, seed=seed, count=trees)._asdict())


# each number of rows is drawn from in another way: all, all but one, a part, a small part; the
# seeds are fixed, for scikit-learn does not split two rows in ten million, by chance
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [2, 3, 17, 255, 256, 257, 259, 900, 25_599, 25_601])
def test_trees_and_scores_equal_those_of_scikit_learn_to_1e_9(seed: int, count: int) -> None:
    from sklearn.ensemble import IsolationForest

    rows, trees = _rows(count, seed), 8 * seed + 1
    model = IsolationForest(n_estimators=trees, max_samples=min(256, count), random_state=seed)
    model.fit(rows)
    asked = np.concatenate([rows[:50], _rows(101, seed + 1), np.float32([[1e30, -1e30, 0]])])
    ours = _grown(rows, seed=seed, trees=trees)
    np.testing.assert_allclose(ours.score(asked), -model.score_samples(asked), rtol=0, atol=1e-9)


def test_rows_that_are_all_the_same_are_not_split() -> None:
    forest = _grown(np.full((300, 3), 0.5, np.float32), seed=0, trees=4)
    np.testing.assert_array_equal(forest.score(_rows(9, 1)), 0.5)


def test_the_numpy_walk_equals_the_compiled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    forest, asked = _forest(500), _rows(300, 1)
    compiled = forest.score(asked)
    monkeypatch.setattr(forest_module, "COMPILED", False)
    np.testing.assert_array_equal(forest.score(asked), compiled)


def test_a_score_does_not_depend_on_the_batch_it_is_in() -> None:
    forest, asked = _forest(500), _rows(1030, 1)
    alone = np.concatenate([forest.score(row[None]) for row in asked])
    np.testing.assert_array_equal(forest.score(asked), alone)


def test_contributions_add_up_to_the_score() -> None:
    forest, asked = _forest(500), _rows(40, 1)
    parts = forest.contributions(asked)
    np.testing.assert_allclose(parts.sum(axis=1), forest.score(asked) - 0.5, atol=1e-9)


def test_the_strange_feature_contributes_most() -> None:
    forest = _forest(500)
    assert forest.contributions(np.float32([[0.1, 0.1, 90.0]]))[0].argmax() == 2


def test_the_same_rows_and_seed_grow_the_same_forest() -> None:
    left, right = (_forest(500, seed=5).to_bytes() for _ in range(2))
    assert Forest.from_bytes(left).score(_rows(9, 2)).tolist() == (
        Forest.from_bytes(right).score(_rows(9, 2)).tolist()
    )


def test_a_stored_forest_scores_the_same() -> None:
    forest, asked = _forest(500), _rows(40, 1)
    again = Forest.from_bytes(forest.to_bytes(), names=NAMES)
    np.testing.assert_array_equal(again.score(asked), forest.score(asked))


def test_a_stored_forest_of_other_features_is_refused() -> None:
    data = _forest(50).to_bytes()
    with pytest.raises(ValueError, match="forest of other features"):
        Forest.from_bytes(data, names=("a", "b"))


@pytest.mark.parametrize("data", [b"", b"PK", MAGIC, MAGIC + b"PK\x03\x04 cut off"])
def test_bytes_that_are_no_forest_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="forest"):
        Forest.from_bytes(data)


@given(st.data())
@examples(60)
def test_a_damaged_forest_is_refused_or_scores_finite_numbers(data: st.DataObject) -> None:
    stored = bytearray(_forest(50, trees=3).to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        forest = Forest.from_bytes(bytes(stored), names=NAMES)
    except ValueError:
        return
    assert np.isfinite(forest.score(_rows(9, 1))).all()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("version", np.int64(2), "forest format 2, expected 1"),
        ("feature", np.full((3, 7), 3, np.uint8), "feature index"),
        ("feature", np.zeros((3, 7), np.int64), "types"),
        ("feature", np.zeros((3, 6), np.uint8), "heap"),
        ("threshold", np.full((3, 7), np.nan, np.float32), "NaN threshold"),
        ("threshold", np.zeros((2, 7), np.float32), "thresholds"),
        ("threshold", np.zeros((3, 7)), "types"),
        ("length", np.zeros(3), "types"),
        ("length", np.full((3, 15), np.inf), "path length"),
        ("normal", np.float64(0), "normal path length"),
        ("names", np.array([object()]), "forest"),
    ],
)
def test_a_forest_with_wrong_arrays_is_refused(name: str, value: np.ndarray, reason: str) -> None:
    arrays = {
        "version": np.int64(1),
        "names": np.array(NAMES),
        "feature": np.zeros((3, 7), np.uint8),
        "threshold": np.zeros((3, 7), np.float32),
        "length": np.ones((3, 15)),
        "normal": np.float64(1),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **(arrays | {name: value}))
    with pytest.raises(ValueError, match=reason):
        Forest.from_bytes(MAGIC + buffer.getvalue())
