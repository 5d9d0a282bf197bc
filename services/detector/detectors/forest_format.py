"""The stored form of a forest: every size and index is checked before it is trusted."""

import io
from typing import Any, NamedTuple
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt

MAGIC = b"SNSFRST1"
VERSION = 1
MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 16


class Stored(NamedTuple):
    """What is stored of a forest; see `forest.Forest`."""

    names: tuple[str, ...]
    feature: npt.NDArray[np.uint8]
    threshold: npt.NDArray[np.float32]
    length: npt.NDArray[np.float64]
    normal: float


def write(forest: Stored) -> bytes:
    """Magic, then a NumPy archive of plain arrays."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        version=np.int64(VERSION),
        names=np.array(forest.names),
        feature=forest.feature,
        threshold=forest.threshold,
        length=forest.length,
        normal=np.float64(forest.normal),
    )
    return MAGIC + buffer.getvalue()


def read(data: bytes, names: tuple[str, ...] | None) -> Stored:
    """The forest in `data`.

    Raises:
        ValueError: not a forest, damaged, of another version or of other features than `names`.
    """
    if not data.startswith(MAGIC) or len(data) > MAX_BYTES:
        raise ValueError("not a Sensus forest: wrong magic or size")
    forest = _parse(data[len(MAGIC) :])
    wrong = [name for name, bad in _problems(forest).items() if bad]
    if wrong:
        raise ValueError(f"damaged forest: {', '.join(wrong)}")
    if names is not None and forest.names != names:
        raise ValueError(f"forest of other features: {forest.names}, expected {names}")
    return forest


def _parse(archive: bytes) -> Stored:
    try:
        _refuse_bombs(archive)
        with np.load(io.BytesIO(archive), allow_pickle=False) as arrays:
            if int(arrays["version"]) != VERSION:
                raise ValueError(f"forest format {int(arrays['version'])}, expected {VERSION}")
            return Stored(
                names=tuple(str(name) for name in np.atleast_1d(arrays["names"])),
                feature=_typed(arrays["feature"], np.uint8),
                threshold=_typed(arrays["threshold"], np.float32),
                length=_typed(arrays["length"], np.float64),
                normal=float(arrays["normal"]),
            )
    except Exception as error:  # damaged bytes make zipfile and numpy raise almost anything
        raise ValueError(f"damaged forest: {error}") from error


def _typed(array: npt.NDArray[Any], wanted: type[np.generic]) -> npt.NDArray[Any]:
    if array.dtype != wanted or array.ndim != 2:
        raise ValueError(f"types: {array.ndim} dimensions of {array.dtype}, expected {wanted}")
    return np.ascontiguousarray(array)


def _refuse_bombs(archive: bytes) -> None:
    with ZipFile(io.BytesIO(archive)) as members:
        if sum(member.file_size for member in members.infolist()) > MAX_BYTES:
            raise ValueError("larger than allowed when unpacked")


def _problems(forest: Stored) -> dict[str, bool]:
    trees, inner = forest.feature.shape
    return {
        "trees": trees < 1,
        "heap": inner < 1 or (inner + 1) & inner != 0 or inner >= 2**MAX_DEPTH,
        "thresholds": forest.threshold.shape != (trees, inner),
        "lengths": forest.length.shape != (trees, 2 * inner + 1),
        "feature index": bool((forest.feature >= len(forest.names)).any()),
        "NaN threshold": bool(np.isnan(forest.threshold).any()),
        "path length": not bool(np.isfinite(forest.length).all()),
        "normal path length": not (np.isfinite(forest.normal) and forest.normal > 0),
    }
