"""What is to be explained, and its samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.explainer.model.case import Symptom
from services.explainer.model.evidence import Figure
from services.explainer.model.windows import Timestamps, Values


class SubjectKind(StrEnum):
    """What can be explained."""

    ALERT = "alert"
    ANOMALY = "anomaly"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRef:
    """Names a subject."""

    kind: SubjectKind
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectFacts:
    """A subject as its owner (ingest or detector) tells it.

    Attributes:
        state: "firing" or "resolved" for alerts, "" for anomalies, which never change.
        title: One line for people; made of telemetry.
        labels: Of the alert, or of the series of the anomaly ("__name__" included).
        metric: Metric of the anomaly; "" for alerts.
        metric_hints: Names that may be the metric of an alert, the likeliest first.
        event_ms: When the alert began to fire, or the time of the abnormal sample.
        lead_ms: How long before the event its cause may already be seen.
        figures: What the subject itself measures.
        is_breach: True for an anomaly that is a crossed threshold.
        rule_name: Name of the detector's rule whose threshold was crossed; "" when unknown.
        rule: The bound of an alert's rule when it compares a bare metric: (operator, value).
        traceparent: Trace context of what found it; "" for none.
    """

    ref: SubjectRef
    state: str
    title: str
    severity: str
    labels: Mapping[str, str]
    metric: str = ""
    metric_hints: tuple[str, ...] = ()
    symptom: Symptom = Symptom.UNKNOWN
    event_ms: int
    lead_ms: int
    figures: "tuple[Figure, ...]" = ()
    is_breach: bool = False
    rule_name: str = ""
    rule: tuple[str, float] | None = None
    traceparent: str = ""

    @property
    def held_ms(self) -> int:
        """How long before the event its bound was crossed already; 0 where that is not known."""
        held = (each.value for each in self.figures if each.name == "held")
        return round(next(held, 0.0) * 1000)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class SeriesSamples:
    """A stored series and its samples around the event, oldest first."""

    series_id: int
    labels: Mapping[str, str]
    timestamps_ms: Timestamps
    values: Values
