"""An incident as the notifier knows it: what routing asks of it and what texts say of it."""

from enum import StrEnum
from typing import Final

import msgspec


class Severity(StrEnum):
    """How urgent something is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Grows with the urgency."""
        return list(Severity).index(self)


class State(StrEnum):
    """Where an incident stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SETTLING = "settling"
    RESOLVED = "resolved"
    MERGED = "merged"

    @property
    def is_over(self) -> bool:
        """Whether nobody needs to do anything about it any more."""
        return self in (State.RESOLVED, State.MERGED)


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """One possible cause."""

    entity: str
    confidence: float = 0.0
    reason: str = ""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What the best explanation says."""

    root_cause: str = ""
    mitigation: str = ""
    summary: str = ""
    confidence: float = 0.0
    suspects: tuple[Suspect, ...] = ()


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What people did before it began."""

    title: str
    time_ms: int = 0


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """An incident. Times are milliseconds since the Unix epoch, 0 for none.

    Attributes:
        labels: Common to all members, with severity, environment, service and suspect.
        muted_until_ms: When its mute ends; `FOR_EVER` until it is resolved; 0 when it is not muted.
        silenced: Whether silences hold all of its firing alerts back.
        member_labels: Different label sets of its members, at most 50.
        members_left_out: Members whose labels are not among these, when there are more.
        traceparent: Of the alert that opened it.
    """

    incident_id: str
    state: State
    severity: Severity
    title: str
    labels: dict[str, str] = {}
    environment: str = ""
    services: tuple[str, ...] = ()
    owner: str = ""
    muted_until_ms: int = 0
    silenced: bool = False
    member_count: int = 0
    firing_count: int = 0
    start_ms: int = 0
    open_ms: int = 0
    resolve_ms: int = 0
    transition: int = 0
    reopen_count: int = 0
    merged_into: str = ""
    cause: Cause | None = None
    changes: tuple[Change, ...] = ()
    slo_minutes: float | None = None
    resolve_reason: str = ""
    traceparent: str = ""
    member_labels: tuple[dict[str, str], ...] = ()
    members_left_out: int = 0


FOR_EVER: Final = 1 << 62
