"""An incident, its log, and its members. Times are milliseconds since the Unix epoch."""

from enum import IntEnum
from typing import Any

import msgspec


class IncidentState(IntEnum):
    """Where an incident stands, numbered as in the contract; GATHERING is not shown to anybody."""

    GATHERING = 0
    OPEN = 1
    ACKNOWLEDGED = 2
    SETTLING = 3
    RESOLVED = 4
    MERGED = 5


class EventKind(IntEnum):
    """What happened, numbered as in the contract."""

    OPENED = 1
    ACKNOWLEDGED = 2
    WORSENED = 3
    EXPLAINED = 4
    SETTLING = 5
    FLAPPED = 6
    RESOLVED = 7
    REOPENED = 8
    UNATTENDED = 9
    MERGED = 10
    ABSORBED = 11
    SPLIT = 12
    MEMBERS = 13
    MUTED = 14
    UNMUTED = 15
    NOTE = 16
    UPDATED = 17
    SILENCED = 18
    UNSILENCED = 19
    MERGE_PROPOSED = 20
    UNDONE = 21
    GAP = 22
    POSTMORTEM = 23


SENSUS = "sensus"
"""Who acts when nobody does."""


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """One possible cause; confidence is 0 to 1."""

    entity: str
    confidence: float
    reason: str = ""


class RelatedChange(msgspec.Struct, frozen=True, kw_only=True):
    """What people did near the begin of an incident."""

    change_id: str
    title: str
    time_ms: int = 0


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A statement of an explanation with the evidence it stands on."""

    kind: str
    text: str
    evidence_ids: tuple[str, ...] = ()


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What the explanation of a member says."""

    explanation_id: str
    member_id: str
    root_cause: str = ""
    mitigation: str = ""
    summary: str = ""
    confidence: float = 0.0
    suspects: tuple[Suspicion, ...] = ()
    changes: tuple[RelatedChange, ...] = ()
    claims: tuple[Claim, ...] = ()

    @property
    def first_suspect(self) -> str:
        """What is suspected first; empty for nothing."""
        return self.suspects[0].entity if self.suspects else ""


class Incident(msgspec.Struct, kw_only=True):
    """The fold of its log.

    Attributes:
        severity: The worst of members, or what a person set.
        labels: Those that all members share.
        services: Members by service.
        newest_ms: When its newest member began, or was split off.
        settle_back: The state from which it settles.
        start_seen_ms: When its first member was seen.
        since_ms: When its state began.
        owner_seen_ms: When its owner last did anything.
        reopened_ms: When it came again, the last times within two hours.
        again_told_ms: When that last gave a notice.
    """

    incident_id: str
    state: IncidentState = IncidentState.GATHERING
    severity: int = 1
    severity_set: int = 0
    title: str = ""
    title_set: str = ""
    labels: dict[str, str] = {}
    environment: str = ""
    services: dict[str, int] = {}
    owner: str = ""
    mute_until_ms: int = 0
    mute_until_resolved: bool = False
    mute_actor: str = ""
    mute_reason: str = ""
    silence_ids: list[str] = []
    member_count: int = 0
    firing_count: int = 0
    start_ms: int = 0
    newest_ms: int = 0
    start_seen_ms: int = 0
    since_ms: int = 0
    open_ms: int = 0
    acknowledge_ms: int = 0
    resolve_ms: int = 0
    update_ms: int = 0
    transition: int = 0
    event_no: int = 0
    settle_back: int = 1
    flap_count: int = 0
    reopen_count: int = 0
    reopened_ms: list[int] = []
    again_told_ms: int = 0
    flapping: bool = False
    owner_seen_ms: int = 0
    merged_into: str = ""
    merge_proposals: list[str] = []
    cause: Cause | None = None
    resolve_reason: str = ""
    resolve_cause: str = ""
    resolved_by: str = ""
    traceparent: str = ""

    @property
    def is_muted(self) -> bool:
        """Whether a person holds its notices back."""
        return self.mute_until_resolved or self.mute_until_ms > 0

    @property
    def was_told(self) -> bool:
        """Whether people heard of it: the end of what nobody heard of is no news."""
        return self.transition > 0

    @property
    def is_over(self) -> bool:
        """Whether it is resolved or part of another one."""
        return self.state in (IncidentState.RESOLVED, IncidentState.MERGED)


class Member(msgspec.Struct, kw_only=True):
    """An alert or anomaly in an incident; it fires while `end_ms` is 0."""

    member_id: str
    kind: int
    fingerprint: str
    labels: dict[str, str]
    severity: int
    start_ms: int
    reason: int
    end_ms: int = 0
    service: str = ""


class Event(msgspec.Struct, kw_only=True):
    """A row of the log. The incident after it is the one before with `sets`.

    Attributes:
        event_id: Place in the log of all; 0 until it is written.
        sets: Fields of the incident that it changes, as JSON.
        undo: The same fields as they were, where the event can be undone.
        joined: Members that came, or that fire again.
        ended: End by member.
        moved_from: The incident whose members all came into this one, for ABSORBED and UNDONE.
        left: Members that went into `related_ids[0]`.
    """

    incident_id: str
    kind: EventKind
    actor: str
    at_ms: int
    text: str = ""
    event_id: int = 0
    event_no: int = 0
    transition: int = 0
    state: int = 0
    severity: int = 0
    sets: dict[str, Any] = {}
    undo: dict[str, Any] = {}
    related_ids: list[str] = []
    member_ids: list[str] = []
    joined: list[Member] = []
    ended: dict[str, int] = {}
    left: list[str] = []
    undoes: int = 0
    request_id: str = ""
