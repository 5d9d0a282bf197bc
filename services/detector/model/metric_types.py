"""What senders say of their metrics, and of what kind a series is by that."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

from services.detector.model.samples import SeriesKind


class MetricType(IntEnum):
    """How the values of a metric are to be read; numbers as in the contract of ingest."""

    UNKNOWN = 0
    COUNTER = 1
    GAUGE = 2
    HISTOGRAM = 3
    GAUGE_HISTOGRAM = 4
    SUMMARY = 5
    INFO = 6
    STATE_SET = 7


MetricTypes = Mapping[str, MetricType]
"""By the name of the metric; of a histogram or summary the name before its suffix."""

NOTHING_SAID: Final[MetricTypes] = {}


class Said(NamedTuple):
    """Types of some metrics, and the newest time of what is told; None where no times are."""

    types: MetricTypes
    newest_ms: int | None


_KIND: Final = {MetricType.COUNTER: SeriesKind.COUNTER, MetricType.GAUGE: SeriesKind.GAUGE}
_KIND_OF_PART: Final = {
    (MetricType.COUNTER, "total"): SeriesKind.COUNTER,
    (MetricType.HISTOGRAM, "bucket"): SeriesKind.COUNTER,
    (MetricType.HISTOGRAM, "count"): SeriesKind.COUNTER,
    (MetricType.SUMMARY, "count"): SeriesKind.COUNTER,
    (MetricType.GAUGE_HISTOGRAM, "bucket"): SeriesKind.GAUGE,
    (MetricType.GAUGE_HISTOGRAM, "gcount"): SeriesKind.GAUGE,
}
"""A sum is not here: it falls where what is measured is below zero, so its values tell."""


def kind_of(name: str, types: MetricTypes) -> SeriesKind:
    """Of the series of that name; unknown where nobody says it.

    >>> types = {"jobs": MetricType.COUNTER, "wait_seconds": MetricType.HISTOGRAM}
    >>> [kind_of(name, types).name for name in ("jobs", "wait_seconds_count", "wait_seconds_sum")]
    ['COUNTER', 'COUNTER', 'UNKNOWN']
    """
    said = types.get(name)
    if said:
        return _KIND.get(said, SeriesKind.UNKNOWN)
    base, part = parts_of(name)
    return _KIND_OF_PART.get((types.get(base, MetricType.UNKNOWN), part), SeriesKind.UNKNOWN)


def parts_of(name: str) -> tuple[str, str]:
    """What may be the name of its metric, and which part of that it is."""
    base, _, part = name.rpartition("_")
    return base, part
