"""Buckets that grow by a factor, as Prometheus and OpenTelemetry have them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.samples import Float64s, Int64s

ZERO_KEY: Final = 1 << 40
"""Keys of buckets: above 0 of positive ones, below of negative ones, 0 of the one around zero."""
SCALES: Final = (-10, 20)


@dataclass(frozen=True, slots=True)
class BucketSide:
    """Buckets of one sign: whose, which, how many observations. Bucket i ends at base**i."""

    owners: Int64s
    indexes: Int64s
    counts: Float64s


@dataclass(frozen=True, slots=True)
class Buckets:
    """Buckets of many histograms, by histogram and then from the lowest up."""

    owners: Int64s
    keys: Int64s
    counts: Float64s
    lower: Float64s
    upper: Float64s

    @property
    def indexes(self) -> Int64s:
        """The index of each in its side; 0 of the one around zero."""
        indexes: Int64s = np.where(self.keys == 0, 0, np.abs(self.keys) - ZERO_KEY)
        return indexes


def joined(
    scales: Int64s,
    negative: BucketSide,
    zero_counts: Float64s,
    thresholds: Float64s,
    positive: BucketSide,
    good: NDArray[np.bool_],
) -> Buckets:
    """All buckets of the `good` histograms, with their bounds: base is 2**(2**-scale)."""
    around = np.flatnonzero(zero_counts > 0)
    owners = np.concatenate([negative.owners, around, positive.owners])
    keys = np.concatenate(
        [
            -(negative.indexes + ZERO_KEY),
            np.zeros(len(around), np.int64),
            positive.indexes + ZERO_KEY,
        ]
    )
    counts = np.concatenate([negative.counts, zero_counts[around], positive.counts])
    kept = np.flatnonzero(good[owners])
    order = kept[np.lexsort((keys[kept], owners[kept]))]
    owners, keys, counts = owners[order], keys[order], counts[order]
    lower, upper = _bounds(scales, thresholds, owners, keys)
    return Buckets(owners, keys, counts, lower, upper)


def _bounds(
    scales: Int64s, thresholds: Float64s, owners: Int64s, keys: Int64s
) -> tuple[Float64s, Float64s]:
    indexes = np.abs(keys) - ZERO_KEY
    steps = np.exp2(-np.clip(scales[owners], *SCALES).astype(np.float64))
    with np.errstate(over="ignore"):
        near, far = np.exp2((indexes - 1) * steps), np.exp2(indexes * steps)
    lower, upper = np.where(keys > 0, near, -far), np.where(keys > 0, far, -near)
    has_negative = np.zeros(len(scales), np.bool_)
    has_negative[owners[keys < 0]] = True
    zero = keys == 0
    lower[zero] = np.where(has_negative[owners], -thresholds[owners], 0.0)[zero]
    upper[zero] = thresholds[owners][zero]
    return lower, upper
