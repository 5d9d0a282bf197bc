"""The state of one series as one fixed row, and its stored form."""

import hashlib

import numpy as np
import numpy.typing as npt

from services.detector.detectors import (
    absence,
    contexts,
    drift,
    episode,
    grid,
    kinds,
    loudness,
    step,
    tension,
)

CLOCK = np.dtype([("last_ms", np.int64), ("count", np.uint32)])
SERIES = np.dtype(
    [
        ("clock", CLOCK),
        ("contexts", contexts.STATE),
        ("seen", np.uint8),
        ("absence", absence.STATE),
        ("drift", drift.STATE),
        ("kind", kinds.STATE),
        ("last", np.float64),
        ("before", np.float64),
        ("level", np.float64),
        ("value_grid", grid.STATE),
        ("change_grid", grid.STATE),
        ("offset_grid", grid.STATE),
        ("home", step.HOME),
        ("episode", episode.STATE),
        ("loudness", loudness.STATE),
        ("tension", tension.STATE),
    ],
    align=True,
)
_LAYOUT = hashlib.sha256(repr(SERIES).encode()).digest()[:8]
_HEADER = b"SNSROW02" + _LAYOUT


def pack(states: npt.NDArray[np.void]) -> bytes:
    """Header of 16 bytes, then one row of `SERIES.itemsize` bytes after the other."""
    return _HEADER + states.tobytes()


def unpack(data: bytes, count: int) -> npt.NDArray[np.void]:
    """The inverse of `pack` for `count` rows.

    Raises:
        ValueError: damaged, another version, or another number of rows.
    """
    if data[: len(_HEADER)] != _HEADER:
        raise ValueError("series state of another version of the engine")
    body = data[len(_HEADER) :]
    if len(body) != count * SERIES.itemsize:
        raise ValueError(f"series state of {len(body)} bytes, expected {count * SERIES.itemsize}")
    return np.frombuffer(body, dtype=SERIES)
