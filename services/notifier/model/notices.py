"""Notices: what is sent, to whom, and where the delivery stands."""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

import msgspec

from services.notifier.model.incident import Incident, Severity


class Kind(StrEnum):
    """What a notice tells; see `sensus.notifier.v1.NoticeKind`."""

    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    WORSENED = "worsened"
    RESOLVED = "resolved"
    AGAIN = "again"
    FLAPPING = "flapping"
    STILL_OPEN = "still_open"
    UNATTENDED = "unattended"
    MERGED = "merged"
    ESCALATED = "escalated"
    EDITED = "edited"
    DIGEST = "digest"
    RECEIVER_DOWN = "receiver_down"
    TEST = "test"


class NoticeState(StrEnum):
    """Where a notice stands; see `sensus.notifier.v1.NoticeState`."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    FOLDED = "folded"
    HELD = "held"
    DROPPED = "dropped"


TELLS_THE_START = frozenset({Kind.OPENED, Kind.AGAIN, Kind.FLAPPING, Kind.ESCALATED})
"""Whoever got one of these knows of the incident."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, as a notice tells it. `time_ms` is milliseconds since the Unix epoch."""

    time_ms: int
    actor: str = ""
    text: str = ""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a notice says, whatever the channel; stored with it.

    Attributes:
        incident: As it stood when the notice was decided; None for digests, tests and the like.
        group_labels: The labels of the incident that its route groups by.
        route: The route that decided, as its matchers.
    """

    event: Event
    incident: Incident | None = None
    group_labels: dict[str, str] = {}
    route: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotice:
    """A notice to store.

    Attributes:
        step: What of the transition it tells, when that is sent more than once: "repeat-2".
        wait_s: From now until it may go out.
        cause_wait_s: From now to the first attempt, unless there is a cause before that.
        held_by: What holds it back; empty when it goes out.
    """

    incident_id: str
    transition: int
    kind: Kind
    severity: Severity
    receiver: str
    integration: str
    title: str
    content: Content
    path: tuple[str, ...] = ()
    step: str = ""
    wait_s: float = 0.0
    cause_wait_s: float = 0.0
    held_by: str = ""
    instead_of: str = ""
    resent_of: UUID | None = None

    @property
    def key(self) -> bytes:
        """The same for the same telling, however often it is decided.

        >>> incident = dict(incident_id="i", transition=1, receiver="r", integration="slack[0]")
        >>> first = notice_key("i", 1, "", "r", "slack[0]")
        >>> first == notice_key("i", 1, "", "r", "slack[0]"), len(first)
        (True, 32)
        """
        step = f"{self.step}>{self.instead_of}" if self.instead_of else self.step
        return notice_key(self.incident_id, self.transition, step, self.receiver, self.integration)


def notice_key(
    incident_id: str, transition: int, step: str, receiver: str, integration: str
) -> bytes:
    """SHA-256 over incident, transition (with its step), receiver and integration."""
    parts = msgspec.json.encode([incident_id, transition, step, receiver, integration])
    return hashlib.sha256(parts).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A stored notice. Times are milliseconds since the Unix epoch, 0 for none.

    Attributes:
        seq: Order in which notices were decided.
        attempt: Number of the newest attempt; who holds it may settle it.
        age_s: Since it was to go out, by the clock of the database.
        late_s: Since what it tells happened, by the same clock.
    """

    notice_id: UUID
    seq: int
    incident_id: str
    transition: int
    step: str
    kind: Kind
    state: NoticeState
    severity: Severity
    receiver: str
    integration: str
    title: str
    content: Content
    path: tuple[str, ...]
    held_by: str
    instead_of: str
    event_ms: int
    create_ms: int
    sent_ms: int
    next_attempt_ms: int
    attempt: int
    age_s: float
    late_s: float
    digest_id: UUID | None = None
    resent_of: UUID | None = None
    attempts: tuple["Attempt", ...] = field(default=())

    @property
    def digest(self) -> str:
        """Of a digest, its first notice, which its members name: copies tell the same members."""
        return self.step.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt to deliver a notice. `latency_ms` is None when it never ended."""

    attempt: int
    start_ms: int
    latency_ms: float | None
    status: int
    error: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a receiver's server said to one attempt.

    Attributes:
        status: HTTP or SMTP code; 0 for none.
        answer: The first kilobyte of it, as text.
        error: What went wrong; empty when it took the notice.
        is_final: Whether trying again is useless.
        retry_after_s: How long the server wants to be left alone.
        reference: What the server calls the message, for edits and threads.
        of_notice: Whether a failure says nothing of the way.
    """

    status: int = 0
    answer: str = ""
    error: str = ""
    is_final: bool = False
    retry_after_s: float = 0.0
    reference: str = ""
    of_notice: bool = False

    @property
    def is_sent(self) -> bool:
        """Whether the notice was taken."""
        return not self.error
