"""Episodes of alerts and what became of them."""

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
    generator_url: str
    update_time_ms: int = 0
    traceparent: str = ""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertReceipt:
    """What became of the alerts of one request."""

    accepted: int
    duplicates: int
    refusals: Sequence[AlertRefusal]
    alert_ids: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A delivery that was given up."""

    delivery_id: int
    alert: Alert
    attempts: int
    reason: str
    bury_time_ms: int
