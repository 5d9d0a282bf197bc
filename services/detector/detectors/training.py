"""Training: scikit-learn grows the trees, this module lays them out as perfect heaps."""

from typing import Any

import numpy as np
import numpy.typing as npt

from services.detector.detectors.forest import Forest


def grow(
    features: npt.NDArray[np.float32],
    *,
    names: tuple[str, ...],
    seed: int,
    trees: int = 100,
    sample: int = 256,
) -> Forest:
    """An Isolation Forest of float32[m, F] rows; the same rows and seed give the same forest.

    Raises:
        ValueError: fewer than two rows, a value that is not finite, or a wrong width.
    """
    x = np.ascontiguousarray(features, dtype=np.float32)
    if x.ndim != 2 or x.shape[1] != len(names) or len(x) < 2:
        raise ValueError(f"training needs at least 2 rows of {len(names)} features, got {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("training rows must be finite")
    model = oracle(x, seed=seed, trees=trees, sample=sample)
    return from_sklearn(model, names)


def oracle(x: npt.NDArray[np.float32], *, seed: int, trees: int, sample: int) -> Any:
    """The scikit-learn model whose scores ours must equal to 1e-9."""
    from sklearn.ensemble import IsolationForest  # three seconds to import: only who trains pays

    model = IsolationForest(
        n_estimators=trees, max_samples=min(sample, len(x)), random_state=seed, n_jobs=1
    )
    return model.fit(x)


def from_sklearn(model: Any, names: tuple[str, ...]) -> Forest:
    """Lays out a fitted IsolationForest that uses all columns in every tree."""
    depth = max(1, max(int(tree.tree_.max_depth) for tree in model.estimators_))
    count, inner = len(model.estimators_), 2**depth - 1
    feature = np.zeros((count, inner), dtype=np.uint8)
    threshold = np.full((count, inner), np.inf, dtype=np.float32)
    length = np.zeros((count, 2 * inner + 1))
    for index, estimator in enumerate(model.estimators_):
        _lay_out(estimator.tree_, feature[index], threshold[index], length[index])
    return Forest(
        names=names,
        feature=feature,
        threshold=threshold,
        length=length,
        normal=float(average_path_length(np.array([model.max_samples_]))[0]),
    )


def _lay_out(tree: Any, feature: Any, threshold: Any, length: Any) -> None:
    lengths = average_path_length(tree.n_node_samples)
    pending = [(0, 0, 0)]
    while pending:
        node, place, level = pending.pop()
        length[place] = level + lengths[node]
        if tree.children_left[node] < 0:
            _pad(length, place, len(feature))
            continue
        feature[place] = tree.feature[node]
        threshold[place] = _round_down(tree.threshold[node])
        pending.append((tree.children_left[node], 2 * place + 1, level + 1))
        pending.append((tree.children_right[node], 2 * place + 2, level + 1))


def _pad(length: Any, place: int, inner: int) -> None:
    value = length[place]
    while place < inner:
        place = 2 * place + 1
        length[place] = value


def _round_down(threshold: float) -> np.float32:
    single = np.float32(threshold)
    return np.nextafter(single, np.float32(-np.inf)) if float(single) > threshold else single


def average_path_length(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Expected depth of an unsuccessful search in a tree of that many rows: c(n)."""
    n = np.asarray(rows, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        large = 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
    return np.where(n > 2, large, np.where(n == 2, 1.0, 0.0))
