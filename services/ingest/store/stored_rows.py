"""Which rows of a batch an earlier copy of it has stored."""

import asyncio
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mesh.postgres import guard
from services.ingest.model.batch import Batch
from services.ingest.model.samples import Int64s

if TYPE_CHECKING:
    from mesh.postgres import Pool

_ROWS: Final = """
SELECT series_ids, timestamps_ms FROM ingest.batch WHERE producer_id = $1 AND sequence = $2
"""
_BY_DIGESTS: Final = """
SELECT labels_hash, series_id, shard FROM ingest.series WHERE labels_hash = ANY($1)
"""


class StoredRows:
    """Reads committed batches by producer and sequence."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def of(self, batch: Batch) -> NDArray[np.bool_]:
        """Of each row of `batch`, whether a row of its series and time is stored under its number.

        Resolves what series the table does not know yet.
        """
        table = batch.table
        slots = {table.key(slot).digest: slot for slot in table.unresolved(batch.slots)}
        with guard("stored_rows"):
            known = await self._pool.fetch(_BY_DIGESTS, list(slots)) if slots else []
            stored = await self._pool.fetch(_ROWS, batch.producer_id, batch.sequence)
        table.resolve((slots[row["labels_hash"]], row["series_id"], row["shard"]) for row in known)
        ids = b"".join(row["series_ids"] for row in stored)
        times = b"".join(row["timestamps_ms"] for row in stored)
        return await asyncio.to_thread(
            _among, table.ids[batch.slots], batch.timestamps_ms, _int64s(ids), _int64s(times)
        )


def _int64s(column: bytes) -> Int64s:
    return np.frombuffer(column, "<i8").astype(np.int64)


def _among(
    ids: Int64s, times: Int64s, stored_ids: Int64s, stored_times: Int64s
) -> NDArray[np.bool_]:
    """Which pairs of series and time are among the stored ones."""
    _, ids = np.unique(np.concatenate([ids, stored_ids]), return_inverse=True)
    distinct, times = np.unique(np.concatenate([times, stored_times]), return_inverse=True)
    pairs = ids * len(distinct) + times
    count = len(pairs) - len(stored_ids)
    return np.isin(pairs[:count], pairs[count:])
