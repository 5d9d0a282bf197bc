"""The state of one series as one fixed row, and its stored form."""

import hashlib

import numpy as np
import numpy.typing as npt

from services.detector.detectors import (
    change, episode, grid, hour, offset, pattern, run, sequence, tension, value, weekend,
)  # fmt: skip

CLOCK = np.dtype([("last_ms", np.int64), ("count", np.uint32)], align=True)
SERIES = np.dtype(
    [
        ("clock", CLOCK),
        ("last", np.float64),
        ("before", np.float64),
        ("smooth", np.float64),
        ("value_grid", grid.STATE),
        ("change_grid", grid.STATE),
        ("offset_grid", grid.STATE),
        ("tension", tension.STATE),
        ("episode", episode.STATE),
        ("value", value.STATE),
        ("change", change.STATE),
        ("offset", offset.STATE),
        ("hour", hour.STATE),
        ("weekend", weekend.STATE),
        ("sequence", sequence.STATE),
        ("pattern", pattern.STATE),
        ("run", run.STATE),
    ],
    align=True,
)
_LAYOUT = hashlib.sha256(repr(SERIES).encode()).digest()[:8]
_HEADER = b"SNSROW01" + _LAYOUT


def pack(states: npt.NDArray[np.void]) -> bytes:
    """Header, then one row after the other; each row is `SERIES.itemsize` bytes."""
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
