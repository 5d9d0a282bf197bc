"""Native histograms of remote write, with exponential or with custom buckets.

Source: the Histogram message of Prometheus remote write; bucket i of a schema s ends at
2**(i * 2**-s).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.exponential import Buckets, BucketSide, joined
from services.ingest.histograms import STALE, Histograms
from services.ingest.model.samples import Float64s, Int64s
from services.ingest.wire.fields import (
    Fields,
    Spans,
    chunk,
    fixed64,
    packed_doubles,
    packed_varints,
    unzigzag,
    varint,
)

_CUSTOM: Final = -53
_SCHEMAS: Final = (*range(-4, 9), _CUSTOM)
_GAUGE: Final = 3
_NEGATIVE: Final = (8, 9, 10)
_POSITIVE: Final = (11, 12, 13)
"""Numbers of a side's fields: spans, differences of whole counts, and counts of any kind."""


def native_histograms(body: bytes, spans: Spans) -> tuple[Histograms, NDArray[np.bool_]]:
    """The histograms, and which of them are no valid ones: those have no buckets.

    Raises:
        InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
    """
    fields = Fields(body, spans)
    schemas = fields.sint64(varint(4))
    negative, negative_fits = _side(body, fields, _NEGATIVE)
    positive, positive_fits = _side(body, fields, _POSITIVE)
    good = negative_fits & positive_fits & np.isin(schemas, _SCHEMAS)
    sums = fields.float64(fixed64(3))
    counts = _either(fields, varint(1), fixed64(2))
    ended = sums.view(np.uint64) == STALE
    counts[ended] = sums[ended]
    good &= ended | ~np.isnan(counts)
    for side in (negative, positive):
        good[side.owners[side.counts < 0]] = False
    zero_counts = _either(fields, varint(6), fixed64(7))
    good &= ended | _adds_up(fields, counts, sums, zero_counts, (negative, positive))
    thresholds = fields.float64(fixed64(5))
    buckets = joined(schemas, negative, zero_counts, thresholds, positive, good)
    _bound_custom(body, fields, schemas, buckets)
    found = Histograms(
        owners=spans.parents,
        timestamps_ms=fields.int64(varint(15)),
        counts=counts,
        sums=sums,
        starts=np.searchsorted(buckets.owners, np.arange(fields.messages + 1)).astype(np.int64),
        keys=buckets.keys,
        lower=buckets.lower,
        upper=buckets.upper,
        buckets=buckets.counts,
        exponential=schemas != _CUSTOM,
        layouts=schemas,
        is_step=fields.int64(varint(14)) == _GAUGE,
        is_delta=np.zeros(fields.messages, np.bool_),
    )
    return found, ~good


def _adds_up(
    fields: Fields,
    counts: Float64s,
    sums: Float64s,
    zero_counts: Float64s,
    sides: tuple[BucketSide, BucketSide],
) -> NDArray[np.bool_]:
    """Of which histograms the count fits the buckets. What was NaN is counted and in no bucket.

    Counts that are no integers are rounded by their senders, so nothing is asked of them.
    """
    held = zero_counts.copy()
    for side in sides:
        held += np.bincount(side.owners, side.counts, fields.messages)
    fits: NDArray[np.bool_] = (counts == held) | (np.isnan(sums) & (counts > held))
    return fits | fields.has(fixed64(2))


def _either(fields: Fields, integers: int, real: int) -> Float64s:
    counts = fields.int64(integers).view(np.uint64).astype(np.float64)
    return np.where(fields.has(real), fields.float64(real), counts)


def _side(
    body: bytes, fields: Fields, numbers: tuple[int, int, int]
) -> tuple[BucketSide, NDArray[np.bool_]]:
    """The buckets of one sign, and of which histograms they are as many as the spans say."""
    spans, differences, counts = numbers
    spans_sent = fields.spans(chunk(spans))
    each = Fields(body, spans_sent)
    lengths = np.clip(each.int64(varint(2)), 0, 1 << 32)
    whole_owners, raw = packed_varints(body, fields, differences)
    integers = _running(unzigzag(raw), whole_owners).astype(np.float64)
    real_owners, real = packed_doubles(body, fields, counts)
    owners, held = np.concatenate([whole_owners, real_owners]), np.concatenate([integers, real])
    order = np.argsort(owners, kind="stable")
    owners, held = owners[order], held[order]
    sizes = np.bincount(owners, minlength=fields.messages)
    fits: NDArray[np.bool_] = np.bincount(spans_sent.parents, lengths, fields.messages) == sizes
    indexes = np.zeros(len(owners), np.int64)
    places = fits[spans_sent.parents]
    indexes[fits[owners]] = _indexes(
        spans_sent.parents[places], each.sint64(varint(1))[places], lengths[places]
    )
    return BucketSide(owners, indexes, held), fits


def _bound_custom(body: bytes, fields: Fields, schemas: Int64s, buckets: Buckets) -> None:
    """Bucket 0 ends at the first custom value; the one behind the last has no end."""
    places = np.flatnonzero(schemas[buckets.owners] == _CUSTOM)
    if not len(places):
        return
    of, values = packed_doubles(body, fields, 16)
    owners, indexes = buckets.owners[places], buckets.indexes[places]
    firsts, ends = np.searchsorted(of, owners), np.searchsorted(of, owners, side="right")
    padded = np.append(values, np.inf)
    upper = padded[np.clip(firsts + indexes, 0, len(values))]
    upper[(indexes < 0) | (indexes >= ends - firsts)] = np.inf
    before = padded[np.clip(np.minimum(firsts + indexes, ends) - 1, 0, len(values))]
    buckets.upper[places] = upper
    buckets.lower[places] = np.where(indexes > 0, before, np.where(upper > 0, 0.0, -np.inf))


def _indexes(owners: Int64s, offsets: Int64s, lengths: Int64s) -> Int64s:
    """The index of each bucket in the spans: an offset counts from the end of the span before."""
    ends = _running(offsets + lengths, owners)
    places = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(ends - lengths, lengths) + places


def _running(values: Int64s, owners: Int64s) -> Int64s:
    """The sum of the values of the same owner so far. Owners ascend."""
    totals = np.cumsum(values)
    firsts = np.searchsorted(owners, owners)
    return totals - totals[firsts] + values[firsts]
