"""An explanation and its parts as this service keeps them. Pure data, times in Unix ms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from services.explainer.model import Suspect, Symptom, Timestamps, Values


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
    rule: tuple[str, float] | None = None
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesSamples:
    """A stored series and its samples around the event, oldest first."""

    series_id: int
    labels: Mapping[str, str]
    timestamps_ms: Timestamps
    values: Values


class State(StrEnum):
    """Where an explanation stands."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Verdict(StrEnum):
    """How much it explains."""

    NONE = ""
    EXPLAINED = "explained"
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"


class EvidenceKind(StrEnum):
    """What a piece of evidence shows."""

    SUBJECT_SERIES = "subject_series"
    MOVED_SERIES = "moved_series"
    ANOMALY = "anomaly"
    ALERT = "alert"
    CHANGE = "change"
    TOPOLOGY = "topology"
    LOG_ERRORS = "log_errors"
    TRACE_TIME = "trace_time"
    PAST_INCIDENT = "past_incident"
    THRESHOLD = "threshold"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One named number; `unit` is UCUM or a Prometheus base unit, "" for the unit of the series."""

    name: str
    value: float
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """A piece of a series for drawing."""

    timestamps_ms: Timestamps
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One piece of evidence; every number of the text is one of its figures.

    Attributes:
        evidence_id: "E1", "E2", … within one explanation; "" until it is numbered.
        source: The service and the query that gives it again.
        reference_id: Anomaly, alert, change or past explanation it is about; "" for series.
    """

    evidence_id: str = ""
    kind: EvidenceKind
    source: str
    title: str
    start_ms: int
    end_ms: int
    labels: Mapping[str, str] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    reference_id: str = ""
    samples: Samples | None = None

    def figure(self, name: str) -> Figure | None:
        """The figure of that name, if it has one."""
        return next((each for each in self.figures if each.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSuspect:
    """A ranked suspect and the labels that name it."""

    suspect: Suspect
    labels: Mapping[str, str]


class Stage(StrEnum):
    """One step of the work."""

    GATHERING = "gathering"
    RANKING = "ranking"
    WORDING = "wording"
    CHECKING = "checking"


class StageStatus(StrEnum):
    """Where a stage stands; DEGRADED is done without something."""

    STARTED = "started"
    DONE = "done"
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageUpdate:
    """Tells where the work stands."""

    stage: Stage
    status: StageStatus
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """Text of the language model, unchecked."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The three texts of an explanation, plain and without markup."""

    root_cause: str
    mitigation: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Who wrote the text, and what was struck. `provider` is "template" or a provider's name."""

    provider: str = "template"
    model: str = ""
    degraded_reason: str = ""
    struck_claims: int = 0
    prompt_id: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Like explanations that began close to each other; `group_id` is that of the first."""

    group_id: UUID
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a run of the work comes to."""

    state: State
    verdict: Verdict
    text: Text
    confidence: float = 0.0
    suspects: tuple[NamedSuspect, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    wording: Wording = Wording()
    group: Group | None = None


Frame = StageUpdate | Evidence | NamedSuspect | TextDelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A stored explanation.

    Attributes:
        result: Encoded with its evidence; None while it runs, and in lists.
        headline: Encoded without its evidence; None while it runs.
        last_sequence: Of the frames stored so far.
        create_us: Microseconds since the Unix epoch: pages are cut by it.
        group: As it is now; None before it has joined one.
    """

    explanation_id: UUID
    ref: SubjectRef
    subject_state: str
    state: State
    result: bytes | None
    headline: bytes | None
    trace_id: str
    last_sequence: int
    create_us: int
    group: Group | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to run an explanation; writes under an `owner` that was replaced are refused.

    Attributes:
        last_sequence: Frames that an earlier run left; this one goes on after them.
    """

    explanation_id: UUID
    owner: UUID
    ref: SubjectRef
    subject_state: str
    traceparent: str
    attempt: int
    last_sequence: int
    create_us: int
