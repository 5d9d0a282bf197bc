"""Data points of OTLP as columns, by kind. Bad ones are marked and have no buckets."""

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.exponential import SCALES, BucketSide, joined
from services.ingest.histograms import STALE, Histograms
from services.ingest.model.samples import Float64s, Int64s
from services.ingest.rows import ENDED, Numbers
from services.ingest.wire.fields import (
    Fields,
    Spans,
    chunk,
    fixed64,
    packed_doubles,
    packed_fixed64,
    packed_varints,
    varint,
)
from services.ingest.wire.trees import Table

DELTA: Final = 1
CUMULATIVE: Final = 2

_TIME: Final = fixed64(3)
_NS_PER_MS: Final = np.uint64(1_000_000)
_NO_VALUE: Final = 1
"""The flag with which a sender says that a series has ended."""
_ENDED: Final = np.array([STALE]).view(np.float64)[0]


def times_ms(points: Fields) -> Int64s:
    """When each point was measured; 0 where that is not told."""
    return (points.int64(_TIME).view(np.uint64) // _NS_PER_MS).view(np.int64)


def numbers(points: Table, data: Table, metrics: Int64s) -> tuple[Numbers, Int64s, Int64s]:
    """NumberDataPoint: a double or an integer; without either it is broken.

    Args:
        points: They.
        data: The gauges and sums that hold them.
        metrics: What stands for each metric.

    Returns:
        Their values, the metric of each, and what stands for that and its kind.
    """
    count = len(points)
    rows, values = np.empty((3, count), np.int64), np.empty(count)
    states = np.empty(count, np.uint8)
    ended, refused, _, _ = _read_points()(
        points.cells, points.cells.view(np.float64), data.cells, metrics, rows, values, states
    )
    if ended:
        values[states == ENDED] = _ENDED
    times, owners, scopes = rows
    return Numbers(times, values, states, refused), owners, scopes


def explicit(
    body: bytes, points: Fields, temporality: Int64s
) -> tuple[Histograms, NDArray[np.bool_]]:
    """HistogramDataPoint: bucket i ends at bound i, the last has no end."""
    owners, raw = packed_fixed64(body, points, 6)
    of, bounds = packed_doubles(body, points, 7)
    held = np.bincount(owners, minlength=points.messages)
    bounded = np.bincount(of, minlength=points.messages)
    broken = (held != bounded + 1) & ((held > 0) | (bounded > 0))
    broken[of[1:][(of[1:] == of[:-1]) & ~(bounds[1:] > bounds[:-1])]] = True
    kept = ~broken[owners]
    owners, counts = owners[kept], raw[kept].astype(np.float64)
    starts = np.searchsorted(owners, np.arange(points.messages + 1)).astype(np.int64)
    keys = np.arange(len(owners)) - starts[owners]
    padded = np.append(bounds, np.inf)
    firsts = np.searchsorted(of, owners)
    upper = np.where(keys < bounded[owners], padded[firsts + np.minimum(keys, bounded[owners])], 0)
    upper[keys == bounded[owners]] = np.inf
    lower = np.where(keys > 0, padded[np.maximum(firsts + keys - 1, 0)], 0.0)
    lower[(keys == 0) & (upper <= 0)] = -np.inf
    layouts = [hash(each) for each in points.last(chunk(7)).of(body)]
    found = _histograms(
        points,
        temporality,
        flags=10,
        starts=starts,
        keys=keys,
        lower=lower,
        upper=upper,
        buckets=counts,
        layouts=np.array(layouts, np.int64),
        exponential=np.zeros(points.messages, np.bool_),
    )
    return found, broken | without_temporality(temporality)


def exponential(
    body: bytes, points: Fields, temporality: Int64s
) -> tuple[Histograms, NDArray[np.bool_]]:
    """ExponentialHistogramDataPoint: bucket i of a scale s ends at 2**((i + 1) * 2**-s)."""
    scales = points.sint64(varint(6))
    low, high = SCALES
    good = (scales >= low) & (scales <= high)
    zero_counts = points.int64(fixed64(7)).view(np.uint64).astype(np.float64)
    thresholds = points.float64(fixed64(14))
    positive = _side(body, points.last(chunk(8)))
    negative = _side(body, points.last(chunk(9)))
    buckets = joined(scales, negative, zero_counts, thresholds, positive, good)
    found = _histograms(
        points,
        temporality,
        flags=10,
        starts=np.searchsorted(buckets.owners, np.arange(points.messages + 1)).astype(np.int64),
        keys=buckets.keys,
        lower=buckets.lower,
        upper=buckets.upper,
        buckets=buckets.counts,
        layouts=scales,
        exponential=np.ones(points.messages, np.bool_),
    )
    return found, ~good | without_temporality(temporality)


def summaries(points: Fields) -> tuple[Histograms, NDArray[np.bool_]]:
    """SummaryDataPoint: a count and a sum, without buckets; see `quantiles`."""
    none, nobody = np.empty(0), np.zeros(points.messages, np.bool_)
    found = _histograms(
        points,
        np.full(points.messages, CUMULATIVE),
        flags=8,
        starts=np.zeros(points.messages + 1, np.int64),
        keys=np.empty(0, np.int64),
        lower=none,
        upper=none,
        buckets=none,
        layouts=np.zeros(points.messages, np.int64),
        exponential=nobody,
    )
    return found, nobody


def quantiles(body: bytes, points: Fields) -> tuple[Int64s, Float64s, Float64s]:
    """SummaryDataPoint: whose each quantile is, which one, and its value.

    Raises:
        InvalidInput: TOO_MANY_FIELDS: each will be a series of its own.
    """
    spans = points.spans(chunk(6)).few()
    each = Fields(body, spans)
    return spans.parents, each.float64(fixed64(1)), each.float64(fixed64(2))


def _count_and_sum(points: Fields, flags: int) -> tuple[Float64s, Float64s]:
    counts = points.int64(fixed64(4)).view(np.uint64).astype(np.float64)
    sums = np.where(points.has(fixed64(5)), points.float64(fixed64(5)), np.nan)
    ended = _has_ended(points, flags)
    counts[ended], sums[ended] = _ENDED, _ENDED
    return counts, sums


def _histograms(
    points: Fields,
    temporality: Int64s,
    *,
    flags: int,
    starts: Int64s,
    keys: Int64s,
    lower: Float64s,
    upper: Float64s,
    buckets: Float64s,
    layouts: Int64s,
    exponential: NDArray[np.bool_],
) -> Histograms:
    counts, sums = _count_and_sum(points, flags)
    is_delta = temporality == DELTA
    return Histograms(
        owners=np.arange(points.messages),
        timestamps_ms=times_ms(points),
        counts=counts,
        sums=sums,
        starts=starts,
        keys=keys,
        lower=lower,
        upper=upper,
        buckets=buckets,
        exponential=exponential,
        layouts=layouts,
        is_step=is_delta,
        is_delta=is_delta,
    )


def _side(body: bytes, spans: Spans) -> BucketSide:
    sides = Fields(body, spans)
    owners, counts = packed_varints(body, sides, 2)
    places = np.arange(len(owners)) - np.searchsorted(owners, owners)
    indexes = sides.sint64(varint(1))[owners] + places + 1
    return BucketSide(owners, indexes, counts.astype(np.float64))


def without_temporality(temporality: Int64s) -> NDArray[np.bool_]:
    """Points of metrics that do not tell whether they count from the start or from the last."""
    is_known: NDArray[np.bool_] = (temporality == DELTA) | (temporality == CUMULATIVE)
    return ~is_known


def _has_ended(points: Fields, flags: int) -> NDArray[np.bool_]:
    ended: NDArray[np.bool_] = points.int64(varint(flags)) & _NO_VALUE == _NO_VALUE
    return ended


@cache
def _read_points() -> Any:
    # numba takes a second and a hundred megabytes: only who reads such bodies pays for it
    from services.ingest.otlp.point_kernel import read_points

    return read_points
