"""Samples as they are delivered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Columns of equal length in log order: int64 series ids, int64 ms, float64 values."""

    series_ids: npt.NDArray[np.int64]
    timestamps_ms: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.series_ids)

    @staticmethod
    def concatenate(parts: "Sequence[Samples]") -> "Samples":
        """One after the other, at least one."""
        if len(parts) == 1:
            return parts[0]
        return Samples(
            series_ids=np.concatenate([part.series_ids for part in parts]),
            timestamps_ms=np.concatenate([part.timestamps_ms for part in parts]),
            values=np.concatenate([part.values for part in parts]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Samples of one shard as ingest handed them over.

    Attributes:
        cursor: Place in the log; resume after it.
        size_bytes: What it costs of the credit in bytes.
        traceparents: Of the batches inside.
    """

    shard: int
    epoch: int
    cursor: int
    samples: Samples
    size_bytes: int
    traceparents: tuple[str, ...] = ()
