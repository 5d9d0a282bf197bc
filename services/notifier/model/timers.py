"""Notices that are due later, unless something happens before."""

from dataclasses import dataclass
from enum import StrEnum


class TimerKind(StrEnum):
    """Which notice is due."""

    ESCALATE = "escalate"
    REPEAT = "repeat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """One row; it is due `after_s` after the event at `event_ms`, Unix milliseconds.

    Attributes:
        transition: With which the incident began.
        step: Of the escalation, from 0; of repeats their number, from 1.
        receiver: Who gets it then.
        path: The route that wants it.
        unless: What stops an escalation: "acknowledged" or "resolved".
        every_s: From one repeat to the next.
        repeats_max: How many there are; None: until it is over.
    """

    incident_id: str
    kind: TimerKind
    transition: int
    step: int
    receiver: str
    path: tuple[str, ...]
    event_ms: int
    after_s: float
    unless: str = ""
    every_s: float = 0.0
    repeats_max: int | None = None
