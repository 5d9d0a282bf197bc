"""Reading a stored forest: every size and index is checked before it is trusted."""

import io
import zipfile

import numpy as np

from services.detector.detectors.forest import MAGIC, VERSION, Forest

MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 16


def read(data: bytes, names: tuple[str, ...] | None) -> Forest:
    """The forest in `data`.

    Raises:
        ValueError: not a forest, damaged, of another version or of other features than `names`.
    """
    if not data.startswith(MAGIC) or len(data) > MAX_BYTES:
        raise ValueError("not a Sensus forest: wrong magic or size")
    forest = _parse(data[len(MAGIC) :])
    if names is not None and forest.names != names:
        raise ValueError(f"forest of other features: {forest.names}, expected {names}")
    _validate(forest)
    return forest


def _parse(archive: bytes) -> Forest:
    try:
        with np.load(io.BytesIO(archive), allow_pickle=False) as arrays:
            if int(arrays["version"]) != VERSION:
                raise ValueError(f"forest format {int(arrays['version'])}, expected {VERSION}")
            return Forest(
                names=tuple(str(name) for name in arrays["names"]),
                feature=arrays["feature"],
                threshold=arrays["threshold"],
                length=arrays["length"],
                normal=float(arrays["normal"]),
            )
    except (KeyError, OSError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise ValueError(f"damaged forest: {error}") from error


def _validate(forest: Forest) -> None:
    trees, inner = forest.feature.shape if forest.feature.ndim == 2 else (0, 0)
    problems = {
        "no trees": trees < 1,
        "not a perfect heap": inner < 1 or (inner + 1) & inner != 0 or inner >= 2**MAX_DEPTH,
        "threshold shape": forest.threshold.shape != (trees, inner),
        "length shape": forest.length.shape != (trees, 2 * inner + 1),
        "types": (forest.feature.dtype, forest.threshold.dtype, forest.length.dtype)
        != (np.dtype(np.int32), np.dtype(np.float32), np.dtype(np.float64)),
        "feature index": not _within(forest.feature, len(forest.names)),
        "NaN threshold": bool(np.isnan(forest.threshold).any()),
        "path lengths": not bool(np.isfinite(forest.length).all()),
        "normal path length": not (np.isfinite(forest.normal) and forest.normal > 0),
    }
    wrong = [name for name, bad in problems.items() if bad]
    if wrong:
        raise ValueError(f"damaged forest: {', '.join(wrong)}")


def _within(index: np.ndarray, stop: int) -> bool:
    return index.size > 0 and int(index.min()) >= 0 and int(index.max()) < stop
