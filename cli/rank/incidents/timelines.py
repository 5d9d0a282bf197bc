"""Series of a whole day, to be cut around one moment."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.explainer.model.windows import SeriesWindow, Timestamps, Values

MINUTE_MS = 60_000
ENTRY = "front_service"
"""What measures the system as a whole: its series belong to no service."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timeline:
    """One series of the day.

    Attributes:
        bucketed: Each sample stands for the minute after its time.
        counts: Each sample is a number of events.
        fault_free: Samples of a run without faults; None when none is.
    """

    metric: str
    service: str
    labels: dict[str, str] = field(default_factory=dict)
    timestamps_ms: Timestamps
    values: Values
    bucketed: bool = False
    counts: bool = False
    fault_free: NDArray[np.bool_] | None = None

    def around(self, start_ms: int, end_ms: int) -> SeriesWindow:
        """The series with [start, end] observed, with the bucket that holds the start."""
        shift = MINUTE_MS - 1 if self.bucketed else 0
        return SeriesWindow(
            evidence_id="|".join([self.service, self.metric, *self.labels.values()]),
            labels=self.labels,
            metric=self.metric,
            service=self.service,
            timestamps_ms=self.timestamps_ms,
            values=self.values,
            observed_start_ms=start_ms - shift,
            observed_end_ms=end_ms,
            events=self.values if self.counts else None,
            fault_free=self.fault_free,
        )


def metric_timelines(columns: dict[str, Values]) -> tuple[list[Timeline], set[tuple[str, str]]]:
    """Series of columns `service|metric` and the calls named by columns `side_q|caller_callee`."""
    times = (columns.get("time", np.empty(0)) * 1000).astype(np.int64)
    found, calls = [], set()
    for name, values in columns.items():
        if name == "time":
            continue
        service, _, metric = name.partition("|")
        service = "" if service == ENTRY else service
        side, _, quantile = service.partition("_")
        labels: dict[str, str] = {}
        if side in ("source", "destination") and quantile.isdigit():
            caller, _, service = metric.partition("_")
            calls.add((caller, service))
            labels = {"peer": caller}
            metric = f"{'client' if side == 'source' else 'server'}_latency_p{quantile}"
        found.append(
            Timeline(
                metric=metric, service=service, labels=labels, timestamps_ms=times, values=values
            )
        )
    return found, calls
