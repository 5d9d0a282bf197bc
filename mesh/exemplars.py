"""Histograms that remember an example: the trace of the last observation in each bucket."""

from opentelemetry import trace
from prometheus_client import Histogram


class TracedHistogram(Histogram):
    """A histogram whose observations name the current trace, when that trace is kept.

    OpenMetrics carries the exemplars; the older text format leaves them out. Costs two lookups and
    no series.
    """

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Counts `amount`, in the unit of the metric."""
        super().observe(amount, exemplar or _current_trace())


def _current_trace() -> dict[str, str] | None:
    context = trace.get_current_span().get_span_context()
    if not context.trace_flags.sampled:
        return None
    return {"trace_id": f"{context.trace_id:032x}"}
