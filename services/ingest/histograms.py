"""Histograms of every kind as few series: `_count`, `_sum`, and quantiles of what a step counted.

A histogram of sixteen buckets is five series instead of eighteen. Senders count from their start,
so a step is the difference between two of their histograms: the one before is remembered here. The
first after a start of this process has none, and gives no quantiles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.definitions import definition
from services.ingest.model.labels import METRIC_NAME, SeriesKey
from services.ingest.model.samples import Float64s, Int64s
from services.ingest.model.writes import Definition

QUANTILES: Final = (0.5, 0.95, 0.99)
PARTS: Final = 2 + len(QUANTILES)
STALE: Final = np.uint64(0x7FF0000000000002)
"""Bits of the NaN with which Prometheus says that a series has ended."""

_MOST_BYTES: Final = 32 * 1024 * 1024
_ENTRY_BYTES: Final = 500
_NOTHING: Final = (np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Histograms:
    """Histogram points of a body.

    Attributes:
        owners: Which label set each has.
        counts: Observations so far; STALE marks the end of a series.
        sums: Sum of what was observed; NaN where it is not told.
        starts: Where the buckets of each begin, and the end of the last one's.
        keys: What a bucket is known by from point to point, ascending within a histogram.
        lower: Lower bound of each bucket; the next ones are alike.
        exponential: Of each histogram, whether its buckets grow by a factor.
        layouts: What must be the same in two histograms for their keys to mean the same.
        is_step: Of each, whether it holds what its own step counted, and not all since the start.
        is_delta: Of each, whether its count and sum are to be added to those before.
    """

    owners: Int64s
    timestamps_ms: Int64s
    counts: Float64s
    sums: Float64s
    starts: Int64s
    keys: Int64s
    lower: Float64s
    upper: Float64s
    buckets: Float64s
    exponential: NDArray[np.bool_]
    layouts: Int64s
    is_step: NDArray[np.bool_]
    is_delta: NDArray[np.bool_]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.owners)


@dataclass(frozen=True, slots=True)
class _State:
    timestamp_ms: int
    layout: int
    keys: Int64s
    buckets: Float64s

    @property
    def size_bytes(self) -> int:
        return _ENTRY_BYTES + self.keys.nbytes + self.buckets.nbytes


class HistogramSteps:
    """What each histogram had counted before. For one thread; the oldest go first."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        """Keeps about `most_bytes`."""
        self._most_bytes = most_bytes
        self._bytes = 0
        self._states: dict[bytes, tuple[_State | None, _State]] = {}
        self._parts: dict[bytes, tuple[Definition, ...]] = {}
        self._part_bytes: dict[bytes, int] = {}
        self._parts_bytes = 0

    def parts(self, whole: Definition) -> Sequence[Definition]:
        """The series of a histogram: count, sum, then the quantiles."""
        if not isinstance(whole, SeriesKey):
            return [whole] * PARTS
        known = self._parts.get(whole.digest)
        if known is None:
            known = self._parts[whole.digest] = _parts(whole)
            size = self._part_bytes[whole.digest] = PARTS * _ENTRY_BYTES + whole.text_bytes
            self._parts_bytes += size
            while self._parts_bytes > self._most_bytes:
                oldest = next(iter(self._parts))
                self._parts_bytes -= self._part_bytes.pop(oldest)
                del self._parts[oldest]
        return known

    def quantile(self, whole: Definition, quantile: float) -> Definition:
        """The series of a quantile that a sender has worked out itself."""
        if not isinstance(whole, SeriesKey):
            return whole
        labels = dict(whole.labels) | {"quantile": f"{quantile:g}"}
        return definition([*labels.items()])

    def values(
        self, wholes: Sequence[Definition], found: Histograms, good: NDArray[np.bool_]
    ) -> Float64s:
        """float64[histograms, PARTS]: count, sum, quantiles; NaN where there is nothing to say.

        `wholes` has the label set of each. One that is not `good` is not remembered: it would take
        the place of the one before those to come.
        """
        values = np.full((len(found), PARTS), np.nan)
        values[:, 0], values[:, 1] = found.counts, found.sums
        if len(found):
            values[:, 2:] = self._quantiles(wholes, found, good)
        return values

    def _quantiles(
        self, wholes: Sequence[Definition], found: Histograms, good: NDArray[np.bool_]
    ) -> Float64s:
        from services.ingest.wire.quantiles import step_quantiles

        before = [
            self._before(wholes, found, place) if is_good else None
            for place, is_good in enumerate(good.tolist())
        ]
        earlier = [_NOTHING if each is None else (each.keys, each.buckets) for each in before]
        known = np.array([each is not None for each in before], np.bool_) | found.is_step
        sizes = [len(keys) for keys, _ in earlier]
        quantiles = np.empty((len(found), len(QUANTILES)))
        step_quantiles(  # type: ignore[no-untyped-call]
            found.starts,
            found.keys,
            found.buckets,
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            np.concatenate([keys for keys, _ in earlier]),
            np.concatenate([buckets for _, buckets in earlier]),
            found.lower,
            found.upper,
            found.exponential,
            np.array(QUANTILES),
            np.empty(len(found.keys)),
            quantiles,
        )
        quantiles[~known | np.isnan(found.counts)] = np.nan
        return quantiles

    def _before(self, wholes: Sequence[Definition], found: Histograms, place: int) -> _State | None:
        """The state before a histogram; its own is remembered.

        The last two are: a body that is sent again because its commit failed says the same again.
        """
        whole = wholes[place]
        part = slice(found.starts[place], found.starts[place + 1])
        has_buckets = part.stop > part.start
        if not isinstance(whole, SeriesKey) or found.is_step[place] or not has_buckets:
            return None
        now = _State(
            int(found.timestamps_ms[place]),
            int(found.layouts[place]),
            found.keys[part].copy(),
            found.buckets[part].copy(),
        )
        older, newest = self._taken(whole.digest)
        is_late = newest is not None and now.timestamp_ms < newest.timestamp_ms
        if newest is None or now.timestamp_ms > newest.timestamp_ms:
            older, newest = newest, now
        self._keep(whole.digest, older, newest)
        return older if older and older.layout == now.layout and not is_late else None

    def _taken(self, digest: bytes) -> tuple[_State | None, _State | None]:
        older, newest = self._states.pop(digest, (None, None))
        self._bytes -= _size(older) + _size(newest)
        return older, newest

    def _keep(self, digest: bytes, older: _State | None, newest: _State) -> None:
        self._states[digest] = older, newest
        self._bytes += _size(older) + _size(newest)
        while self._bytes > self._most_bytes:
            self._taken(next(iter(self._states)))


def _size(state: _State | None) -> int:
    return state.size_bytes if state else 0


def _parts(whole: SeriesKey) -> tuple[Definition, ...]:
    labels = dict(whole.labels)
    name = labels[METRIC_NAME]
    sets = [
        labels | {METRIC_NAME: f"{name}_count"},
        labels | {METRIC_NAME: f"{name}_sum"},
        *(labels | {"quantile": f"{quantile:g}"} for quantile in QUANTILES),
    ]
    return tuple(definition([*each.items()]) for each in sets)
