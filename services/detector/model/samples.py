"""Samples as they are delivered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from mesh.subscription import Amount

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Columns of equal length in log order: int64 series ids, int64 ms, float64 values.

    `arrived_ms` is when ingest committed each; None where that does not matter.
    """

    series_ids: npt.NDArray[np.int64]
    timestamps_ms: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    arrived_ms: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.series_ids)

    def arrivals_ms(self) -> npt.NDArray[np.int64]:
        """When each arrived: at its timestamp where nothing else is known."""
        return self.timestamps_ms if self.arrived_ms is None else self.arrived_ms

    @staticmethod
    def concatenate(parts: "Sequence[Samples]") -> "Samples":
        """One after the other, at least one."""
        if len(parts) == 1:
            return parts[0]
        return Samples(
            series_ids=np.concatenate([part.series_ids for part in parts]),
            timestamps_ms=np.concatenate([part.timestamps_ms for part in parts]),
            values=np.concatenate([part.values for part in parts]),
            arrived_ms=np.concatenate([part.arrivals_ms() for part in parts]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Samples of one shard as ingest handed them over.

    Attributes:
        cursor: Place in the log; resume after it.
        commit_ms: When ingest committed it, to the second: what was committed within one may come
            together or apart.
        size_bytes: What it costs of the credit in bytes.
        traceparents: Of the batches inside.
    """

    shard: int
    epoch: int
    cursor: int
    commit_ms: int
    samples: Samples
    size_bytes: int
    traceparents: tuple[str, ...] = ()

    @property
    def amount(self) -> Amount:
        """What it takes of the credit."""
        return Amount(rows=len(self.samples), size_bytes=self.size_bytes)


class SeriesKind(IntEnum):
    """What the values of a series are; numbers as in the contract and in the store."""

    UNKNOWN = 0
    GAUGE = 1
    COUNTER = 2


class SeriesKindSource(IntEnum):
    """Who says of what kind a series is; numbers as in the contract and in the store."""

    UNKNOWN = 0
    VALUES = 1
    NAME = 2
    METADATA = 3
    RULE = 4


def is_counter(labels: Labels) -> bool:
    """Whether a series is named like a counter of Prometheus and OpenMetrics."""
    return labels.get("__name__", "").endswith(("_total", "_bucket"))
