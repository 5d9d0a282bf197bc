"""Records of a body become rows of one batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.histograms import STALE, Histograms, HistogramSteps
from services.ingest.model.foreign import Broken, ForeignBatch
from services.ingest.model.samples import Float64s, Int64s
from services.ingest.model.writes import Definition, SampleReason

ANY_TIME: Final = 2**63 - 1
"""The latest time where no time is too late."""
NOT_FINITE: Final = "a difference must be a finite number: it is added to a total"
_MISFIT: Final = "the numbers of buckets, of spans or of bounds do not fit, or the scale is unknown"


NUMBER, DIFFERENCE, ENDED, BROKEN, INFINITE = range(5)
"""What a point is: a value, what is added to a total, the end of a series, or none of these."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Points with one value each.

    Attributes:
        states: What each is. BROKEN and INFINITE have no value.
        refused: How many have none.
    """

    timestamps_ms: Int64s
    values: Float64s
    states: NDArray[np.uint8]
    refused: int


class Rows:
    """Rows that are being gathered. Records are numbered in the order in which they are added."""

    def __init__(self, latest_ms: int = ANY_TIME) -> None:
        """Begins without any; who is later than `latest_ms` is refused when they are written."""
        self._latest_ms = latest_ms
        self._definitions: list[Definition] = []
        self._counts: list[Int64s] = []
        self._records: list[Int64s] = []
        self._times: list[Int64s] = []
        self._values: list[Float64s] = []
        self._is_delta: list[NDArray[np.bool_]] = []
        self._broken: list[Broken] = []
        self.records = 0

    def add_series(
        self,
        definitions: Sequence[Definition],
        owners: Int64s,
        timestamps_ms: Int64s,
        values: Float64s,
    ) -> None:
        """A record and row per sample; `owners` are places in `definitions`, ascending."""
        self._definitions += definitions
        self._counts.append(np.bincount(owners, minlength=len(definitions)))
        self._add(np.arange(len(owners)), timestamps_ms, values)
        self.records += len(owners)

    def add_points(self, definitions: Sequence[Definition], found: Numbers, why: str) -> None:
        """A record per point, and a row for each with a value; `why` tells of those BROKEN."""
        is_delta = found.states == DIFFERENCE
        if found.refused:
            good = np.flatnonzero(found.states < BROKEN)
            self._definitions += [definitions[place] for place in good.tolist()]
            self._add(good, found.timestamps_ms[good], found.values[good], is_delta[good])
            self._break(found.states == BROKEN, SampleReason.INVALID_POINT, why)
            self._break(found.states == INFINITE, SampleReason.INVALID_POINT, NOT_FINITE)
        else:
            good = np.arange(len(definitions))
            self._definitions += definitions
            self._add(good, found.timestamps_ms, found.values, is_delta)
        self._counts.append(np.ones(len(good), np.int64))
        self.records += len(definitions)

    def add_histograms(
        self,
        definitions: Sequence[Definition],
        found: Histograms,
        broken: NDArray[np.bool_],
        steps: HistogramSteps,
    ) -> None:
        """A record per histogram, and a row for each thing that it has to say."""
        known = [definitions[owner] for owner in found.owners.tolist()]
        values = steps.values(known, found, ~broken & (found.timestamps_ms <= self._latest_ms))
        infinite = found.is_delta & np.isinf(found.sums)
        has_value = ~np.isnan(values) | (values.view(np.uint64) == STALE)
        has_value[broken | infinite] = False
        records, parts = np.nonzero(has_value)
        self._definitions += [
            steps.parts(known[record])[part]
            for record, part in zip(records.tolist(), parts.tolist(), strict=True)
        ]
        self._counts.append(np.ones(len(records), np.int64))
        parted = values[records, parts]
        is_delta = found.is_delta[records] & (parts < 2) & ~np.isnan(parted)
        self._add(records, found.timestamps_ms[records], parted, is_delta)
        self._break(broken, SampleReason.INVALID_HISTOGRAM, _MISFIT)
        self._break(infinite & ~broken, SampleReason.INVALID_HISTOGRAM, NOT_FINITE)
        self.records += len(found)

    def add_beside(
        self,
        definitions: Sequence[Definition],
        records: Int64s,
        timestamps_ms: Int64s,
        values: Float64s,
    ) -> None:
        """More rows of records that are there already; NO_RECORD for rows of our own."""
        self._definitions += definitions
        self._counts.append(np.ones(len(definitions), np.int64))
        self._records.append(records)
        self._times.append(timestamps_ms)
        self._values.append(values)
        self._is_delta.append(np.zeros(len(records), np.bool_))

    def batch(self, places: Int64s) -> ForeignBatch:
        """All of them; `places` says where each record stands in the body."""
        return ForeignBatch(
            definitions=self._definitions,
            counts=joined(self._counts, np.int64),
            records=joined(self._records, np.int64),
            timestamps_ms=joined(self._times, np.int64),
            values=joined(self._values, np.float64),
            is_delta=joined(self._is_delta, np.bool_),
            places=places,
            broken=self._broken,
        )

    def _add(
        self,
        records: Int64s,
        timestamps_ms: Int64s,
        values: Float64s,
        is_delta: NDArray[np.bool_] | None = None,
    ) -> None:
        self._records.append(records + self.records if self.records else records)
        self._times.append(timestamps_ms)
        self._values.append(values)
        self._is_delta.append(np.zeros(len(records), np.bool_) if is_delta is None else is_delta)

    def _break(self, broken: NDArray[np.bool_], reason: SampleReason, why: str) -> None:
        places = np.flatnonzero(broken) + self.records
        if len(places):
            self._broken.append(Broken(places.astype(np.int64), reason, why))


def joined(parts: Sequence[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    """One behind the other."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, dtype)
