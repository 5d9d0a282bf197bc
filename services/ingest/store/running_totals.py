"""Sums of series whose senders tell only what was counted since their last point."""

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.samples import Float64s, Int64s

if TYPE_CHECKING:
    from services.ingest.store.transaction import Connection

_READ: Final = (
    "SELECT series_id, total, last_ms FROM ingest.running_total WHERE series_id = ANY($1)"
)
_SAVE: Final = """
INSERT INTO ingest.running_total (series_id, total, last_ms)
SELECT * FROM unnest($1::bigint[], $2::float8[], $3::bigint[])
ON CONFLICT (series_id) DO UPDATE SET total = excluded.total, last_ms = excluded.last_ms
"""


class RunningTotals:
    """The totals that a group of batches needs. The caller holds the lock of the log."""

    def __init__(self, totals: dict[int, tuple[float, int]]) -> None:
        """Total and time of the last point by series."""
        self._totals = totals
        self._changed: set[int] = set()

    @classmethod
    async def of(cls, connection: "Connection", series_ids: Collection[int]) -> "RunningTotals":
        """Reads those of the series given; asks nothing for none."""
        rows = await connection.fetch(_READ, list(series_ids)) if series_ids else []
        finite = [row for row in rows if math.isfinite(row["total"])]
        return cls({row["series_id"]: (row["total"], row["last_ms"]) for row in finite})

    def added(
        self, ids: Int64s, times: Int64s, values: Float64s, is_delta: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], Float64s]:
        """Which rows stay, and the values of all with each delta as the total with it.

        A delta does not stay when it is not newer than the last of its series, or when the total
        would not be a finite number.
        """
        kept, values = np.ones(len(ids), np.bool_), values.copy()
        rows = np.flatnonzero(is_delta)
        for row in rows[np.argsort(times[rows], kind="stable")].tolist():
            series_id, at_ms = int(ids[row]), int(times[row])
            total, last_ms = self._totals.get(series_id, (0.0, -1))
            total += float(values[row])
            if at_ms <= last_ms or not math.isfinite(total):
                kept[row] = False
                continue
            values[row] = total
            self._totals[series_id] = total, at_ms
            self._changed.add(series_id)
        return kept, values

    async def save(self, connection: "Connection") -> None:
        """Writes what has changed."""
        if not self._changed:
            return
        ids = sorted(self._changed)
        totals = [self._totals[each][0] for each in ids]
        await connection.execute(_SAVE, ids, totals, [self._totals[each][1] for each in ids])
