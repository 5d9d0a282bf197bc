"""Rows of chunks as columns, packed or in the older form of arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from services.ingest.model.points import Columns
from services.ingest.packing.chunks import unpacked


def columns_of(rows: Sequence[Any]) -> Columns:
    """The samples of rows of `ingest.chunk`, row by row. Loads compiled loops: not on the loop.

    Raises:
        BrokenChunk: A row holds no chunk.
    """
    old = [_of_arrays(row) for row in rows if row["packed"] is None]
    new = [row for row in rows if row["packed"] is not None]
    if not new:
        return Columns.joined(old)
    found = unpacked([row["packed"] for row in new])
    ids = np.array([row["series_id"] for row in new], np.int64).repeat(found.counts)
    return Columns.joined([*old, Columns(ids, found.timestamps_ms, found.values)])


def _of_arrays(row: Any) -> Columns:
    times = np.array(row["timestamps_ms"], np.int64)
    ids = np.full(len(times), row["series_id"], np.int64)
    return Columns(ids, times, np.array(row["sample_values"], np.float64))
