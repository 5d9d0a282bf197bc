"""Episodes of alerts, what senders say of them, and what became of that."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from services.ingest.model.labels import Labels


class AlertState(Enum):
    """State of an episode, numbered as in the contract."""

    FIRING = 1
    RESOLVED = 2


class Severity(Enum):
    """Urgency, numbered as in the contract."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


class EndReason(Enum):
    """Why an episode is over, numbered as in the contract. All but RESOLVED are inferred."""

    OPEN = 0
    RESOLVED = 1
    SUPERSEDED = 2
    COVERED = 3
    EXPIRED = 4


class Correction(Enum):
    """What was wrong in form with an alert that was taken all the same."""

    LABEL_CUT = "LABEL_CUT"
    LABEL_DROPPED = "LABEL_DROPPED"
    ANNOTATION_CUT = "ANNOTATION_CUT"
    ANNOTATION_DROPPED = "ANNOTATION_DROPPED"
    URL_DROPPED = "URL_DROPPED"
    START_TIME_ASSUMED = "START_TIME_ASSUMED"
    START_TIME_CLAMPED = "START_TIME_CLAMPED"
    END_TIME_CLAMPED = "END_TIME_CLAMPED"
    SEVERITY_UNKNOWN = "SEVERITY_UNKNOWN"
    STATE_UNKNOWN = "STATE_UNKNOWN"
    NOTHING_OPEN = "NOTHING_OPEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a sender says of an alert. Times are milliseconds since the Unix epoch.

    Attributes:
        episode_ms: The start as the sender said it, which names the episode; None when it said
            none: then the notice is about the open episode of the label set.
        start_ms: When the episode began, within the limits of what can be.
        end_ms: When it ended; None while it fires, or when it ends with its arrival.
        traceparent: The span that brought it; empty for none.
    """

    fingerprint: str
    labels: Labels
    annotations: Labels
    state: AlertState
    severity: Severity
    episode_ms: int | None
    start_ms: int
    end_ms: int | None
    generator_url: str
    traceparent: str = ""

    @property
    def alert_id(self) -> str:
        """The episode that the notice names, or begins."""
        start_ms = self.start_ms if self.episode_ms is None else self.episode_ms
        return f"{self.fingerprint}-{start_ms}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One episode of an alert. Times are milliseconds since the Unix epoch."""

    alert_id: str
    fingerprint: str
    labels: Labels
    annotations: Labels
    state: AlertState
    severity: Severity
    start_time_ms: int
    end_time_ms: int | None
    end_reason: EndReason
    generator_url: str
    update_time_ms: int
    traceparent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """One stored change of an episode."""

    state: AlertState
    commit_time_ms: int
    end_time_ms: int | None


@dataclass(frozen=True, slots=True)
class AlertRefusal:
    """One refused alert of a request."""

    index: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class AlertWarning:
    """What was mended in one alert of a request."""

    index: int
    mended: Correction
    message: str


@dataclass(frozen=True, slots=True)
class NoticeOutcome:
    """What became of one notice.

    Attributes:
        alert_id: The episode it is about; empty when it resolved what is not open.
        is_new: Whether it changed anything.
    """

    alert_id: str
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertReceipt:
    """What became of the alerts of one request."""

    accepted: int
    duplicates: int
    refusals: Sequence[AlertRefusal]
    warnings: Sequence[AlertWarning]
    alert_ids: Sequence[str]
    duplicate_indices: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A delivery that was given up."""

    delivery_id: int
    alert: Alert
    attempts: int
    reason: str
    bury_time_ms: int
