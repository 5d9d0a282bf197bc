"""Which series a batch may hold, in 16 bits each: a blocked Bloom filter per batch. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.samples import Int64s

UInt64s = NDArray[np.uint64]

_BITS_PER_SERIES: Final = 16
_PAIRS: Final = np.array([1 << (n & 63) | 1 << (n >> 6) for n in range(4096)], np.uint64)
"""Two bits of a word by 12 bits of a hash; a series sets four. One batch in 250 is a false find."""
_LOW: Final = np.uint64(4095)
_MULTIPLIER: Final = np.uint64(0xFF51AFD7ED558CCD)
_SERIES_AT_ONCE: Final = 64
"""Then batches that were found are compared no more: of many scattered series few are compared."""


@dataclass(frozen=True, slots=True)
class SeriesHashes:
    """Series as a filter sees them: 32 bits that choose a word, and the bits set in that word."""

    choices: UInt64s
    bits: UInt64s


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBatch:
    """A batch as an index remembers it; times are inclusive."""

    offset: int
    min_time_ms: int
    max_time_ms: int
    words: UInt64s


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRun:
    """Batches that follow each other in the log, as parallel arrays of one item each.

    Attributes:
        starts: Where the words of each batch begin in `words`.
        sizes: How many words it has, at least one.
    """

    offsets: Int64s
    min_times_ms: Int64s
    max_times_ms: Int64s
    starts: UInt64s
    sizes: UInt64s
    words: UInt64s

    def holding(self, wanted: SeriesHashes, after: int, start_ms: int, end_ms: int) -> Int64s:
        """Positions above `after` with a time in the range that may hold one of `wanted`.

        None that holds one is missing.
        """
        inside = (self.max_times_ms >= start_ms) & (self.min_times_ms < end_ms)
        left = np.flatnonzero(inside & (self.offsets > after))
        found = [left[:0]]
        for first in range(0, len(wanted.bits), _SERIES_AT_ONCE):
            part = slice(first, first + _SERIES_AT_ONCE)
            holds = self._hold(left, wanted.choices[part], wanted.bits[part])
            found.append(left[holds])
            left = left[~holds]
        return self.offsets[np.sort(np.concatenate(found))]

    def _hold(self, batches: Int64s, choices: UInt64s, bits: UInt64s) -> NDArray[np.bool_]:
        sizes, starts = self.sizes[batches, None], self.starts[batches, None]
        words = self.words[starts + _word(choices, sizes)]
        held: NDArray[np.bool_] = ((words & bits) == bits).any(axis=1)
        return held


def hashed(series_ids: Int64s) -> SeriesHashes:
    """The hashes of series."""
    mixed = series_ids.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(33))) * _MULTIPLIER
    mixed ^= mixed >> np.uint64(33)
    bits = _PAIRS[mixed & _LOW] | _PAIRS[(mixed >> np.uint64(12)) & _LOW]
    return SeriesHashes(mixed >> np.uint64(32), bits)


def signature(series_ids: Int64s) -> UInt64s:
    """The words of a batch with these series, in any order, each any number of times."""
    ids = np.sort(series_ids)
    series = hashed(ids[np.append(ids[1:] != ids[:-1], True)])
    size = max(1, -(-len(series.bits) * _BITS_PER_SERIES // 64))
    words = np.zeros(size, np.uint64)
    np.bitwise_or.at(words, _word(series.choices, np.uint64(size)), series.bits)
    return words


def run_of(batches: Sequence[SignedBatch], before: SignedRun | None = None) -> SignedRun:
    """At least one batch, in log order, behind those of `before`."""
    sizes = np.array([len(each.words) for each in batches], np.uint64)
    run = SignedRun(
        offsets=np.array([each.offset for each in batches], np.int64),
        min_times_ms=np.array([each.min_time_ms for each in batches], np.int64),
        max_times_ms=np.array([each.max_time_ms for each in batches], np.int64),
        starts=np.cumsum(sizes, dtype=np.uint64) - sizes,
        sizes=sizes,
        words=np.concatenate([each.words for each in batches]),
    )
    if before is None:
        return run
    return SignedRun(
        offsets=np.concatenate([before.offsets, run.offsets]),
        min_times_ms=np.concatenate([before.min_times_ms, run.min_times_ms]),
        max_times_ms=np.concatenate([before.max_times_ms, run.max_times_ms]),
        starts=np.concatenate([before.starts, run.starts + np.uint64(len(before.words))]),
        sizes=np.concatenate([before.sizes, run.sizes]),
        words=np.concatenate([before.words, run.words]),
    )


def _word(choices: UInt64s, sizes: UInt64s | np.uint64) -> UInt64s:
    """Even over 0 to below `sizes`."""
    return (choices * sizes) >> np.uint64(32)
