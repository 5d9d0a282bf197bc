"""Series over a window of time, and how far they left their past."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Timestamps = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesWindow:
    """One series around the event, split into what was usual and what is observed.

    Attributes:
        evidence_id: Id under which this series is shown as evidence.
        labels: Labels of the series. `peer` names the caller when the series measures calls
            between two services; `operation` names the span or route.
        metric: Metric name; its words tell what it measures.
        service: Entity the series belongs to.
        timestamps_ms: Ascending.
        values: Same length; NaN means no sample.
        observed_start_ms: Samples from here to `observed_end_ms`, both included, are observed.
        observed_end_ms: All samples outside that span are the baseline, earlier or later.
        events: How many events each sample stands for, when the series counts them; NaN for no
            sample.
        is_rate: Whether `values` are the events per second of a counter.
        fault_free: Where samples are known to be from a time without a fault; None when that is
            known of none.
        measured: Deviations that were measured already, by what they were measured of. Rankers
            ask for the same ones, and like subjects have the same windows.
    """

    evidence_id: str
    labels: Mapping[str, str] = field(default_factory=dict)
    metric: str
    service: str
    timestamps_ms: Timestamps
    values: Values
    observed_start_ms: int
    observed_end_ms: int
    events: Values | None = None
    is_rate: bool = False
    fault_free: NDArray[np.bool_] | None = None
    measured: dict[Hashable, "tuple[Deviation, SeriesWindow]"] = field(
        default_factory=dict, repr=False
    )

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """True where a sample lies in the observed span."""
        after = self.timestamps_ms >= self.observed_start_ms
        return after & (self.timestamps_ms <= self.observed_end_ms)

    @cached_property
    def usual(self) -> NDArray[np.bool_]:
        """True where a sample tells what is usual: known to be fault-free, else all outside."""
        outside = ~self.inside
        if self.fault_free is None or not (self.fault_free & outside).any():
            return outside
        return self.fault_free & outside

    @cached_property
    def baseline(self) -> Values:
        """Finite values that tell what is usual."""
        usual = self.values[self.usual]
        return usual[np.isfinite(usual)]

    @cached_property
    def observed(self) -> Values:
        """Finite values inside the observed span."""
        seen = self.values[self.inside]
        return seen[np.isfinite(seen)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """How far one series left its baseline.

    Attributes:
        change_ms: Since when two observed samples in a row are beyond the usual range; None when
            they never are.
        direction: 1 up, -1 down, 0 no change.
        size: Distance in robust standard deviations of the baseline, ≥ 0.
        baseline: Median before.
        spread: Robust standard deviation before, > 0.
        observed: Median of what was observed.
        is_quotable: Whether `size` may be quoted: false when it was counted in the least spread
            that is ever assumed, or in so many that it was cut.
    """

    change_ms: int | None
    direction: int
    size: float
    baseline: float
    spread: float
    observed: float
    is_quotable: bool = True
