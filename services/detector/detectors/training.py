"""Training: trees laid out as perfect heaps. Loads no compiler, for a process that only trains."""

import numpy as np
import numpy.typing as npt

from services.detector.detectors.forest_format import Stored
from services.detector.detectors.isolation_trees import deepest, trees

F64 = npt.NDArray[np.float64]


def grow(
    features: npt.NDArray[np.float32],
    *,
    names: tuple[str, ...],
    seed: int,
    count: int = 100,
    sample: int = 256,
) -> Stored:
    """An Isolation Forest of float32[m, F] rows; the same rows and seed give the same forest.

    Raises:
        ValueError: fewer than two rows, a value that is not finite, or a wrong width.
    """
    x = np.ascontiguousarray(features, dtype=np.float32)
    if x.ndim != 2 or x.shape[1] != len(names) or len(x) < 2:
        raise ValueError(f"training needs at least 2 rows of {len(names)} features, got {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("training rows must be finite")
    sample = min(sample, len(x))
    inner, lengths = 2 ** deepest(sample) - 1, _path_lengths(np.arange(sample + 1))
    feature = np.zeros((count, inner), dtype=np.uint8)
    threshold = np.full((count, inner), np.inf, dtype=np.float32)
    length = np.full((count, 2 * inner + 1), np.nan)
    deep = 1
    for index, nodes in enumerate(trees(x, seed=seed, count=count, sample=sample)):
        for node in nodes:
            length[index, node.place] = node.level + lengths[node.rows]
            deep = max(deep, node.level)
            if node.feature >= 0:
                feature[index, node.place] = node.feature
                threshold[index, node.place] = node.threshold
    _pad(length)
    inner = 2**deep - 1
    return Stored(
        names=names,
        feature=np.ascontiguousarray(feature[:, :inner]),
        threshold=np.ascontiguousarray(threshold[:, :inner]),
        length=np.ascontiguousarray(length[:, : 2 * inner + 1]),
        normal=float(lengths[sample]),
    )


def _pad(length: F64) -> None:
    """Below a leaf every walk is as long as to the leaf."""
    for node in range(length.shape[1] // 2):
        for child in (2 * node + 1, 2 * node + 2):
            below = np.isnan(length[:, child])
            length[below, child] = length[below, node]


def _path_lengths(rows: npt.NDArray[np.int64]) -> F64:
    """Expected depth of an unsuccessful search in a tree of that many rows: c(n)."""
    n = np.asarray(rows, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        large = 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
    return np.where(n > 2, large, np.where(n == 2, 1.0, 0.0))
