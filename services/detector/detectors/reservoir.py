"""Feature vectors kept for training: those of samples about which anything was new.

A vector's place is a hash of its series and time, so the same stream keeps the same vectors however
it is cut into batches, and newer ones replace older ones at random places.
"""

import numpy as np
import numpy.typing as npt

ROWS = 4096
_MIX = np.uint64(0x9E3779B97F4A7C15)

F32 = npt.NDArray[np.float32]


def empty(width: int) -> F32:
    """A reservoir without vectors."""
    return np.zeros((ROWS, width), dtype=np.float32)


def keep(
    reservoir: F32, rows: npt.NDArray[np.int32], times: npt.NDArray[np.int64], features: F32
) -> None:
    """Puts the vectors that are not zero into their places, later ones over earlier ones."""
    new = np.flatnonzero(features.any(axis=1))
    key = rows[new].astype(np.uint64) * _MIX ^ times[new].astype(np.uint64)
    reservoir[(key * _MIX >> np.uint64(40)) % np.uint64(ROWS)] = features[new]


def taken(reservoir: F32) -> F32:
    """The vectors kept, float32[m, F]."""
    return np.array(reservoir[reservoir.any(axis=1)])
