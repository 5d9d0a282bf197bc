"""Series over a window of time, and how far they left their past."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Timestamps = NDArray[np.int64]


Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
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
    """

    evidence_id: str
    labels: Mapping[str, str] = field(default_factory=dict)
    metric: str
    service: str
    timestamps_ms: Timestamps
    values: Values
    observed_start_ms: int
    observed_end_ms: int

    @property
    def inside(self) -> NDArray[np.bool_]:
        """True where a sample lies in the observed span."""
        after = self.timestamps_ms >= self.observed_start_ms
        return after & (self.timestamps_ms <= self.observed_end_ms)

    @property
    def baseline(self) -> Values:
        """Finite values outside the observed span."""
        usual = self.values[~self.inside]
        return usual[np.isfinite(usual)]

    @property
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
        is_told: Whether `size` may be told: false when it was counted in the least spread that is
            ever assumed, or in so many that it was cut.
    """

    change_ms: int | None
    direction: int
    size: float
    baseline: float
    spread: float
    observed: float
    is_told: bool = True
