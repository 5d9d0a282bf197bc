"""The span under which an anomaly becomes known."""

import dataclasses
from collections.abc import Sequence

from opentelemetry.trace import SpanKind

from mesh.telemetry import span, traceparent
from services.detector.model.anomalies import Finding


def announced(finding: Finding, traceparents: Sequence[str]) -> Finding:
    """The finding with a span of its own, always kept: the parent of all that is made of it.

    The span continues the trace of the batch; where several batches were scored together, it
    is the root of a new trace that links to them.
    """
    attributes: dict[str, str | int | float] = {
        "sensus.anomaly_id": finding.anomaly_id,
        "sensus.series_id": finding.series_id,
        "sensus.severity": finding.severity.name.lower(),
        "sensus.alert_score": finding.alert_score,
    }
    parent = traceparents[0] if len(set(traceparents)) == 1 else ""
    with span(
        "announce anomaly",
        kind=SpanKind.PRODUCER,
        parent=parent,
        links=traceparents,
        attributes=attributes,
        always_sample=True,
    ):
        return dataclasses.replace(finding, traceparent=traceparent())
