"""What topology counted of traces and log lines, beside what is usual.

Two spans of time are compared: an observed one, and a longer one that tells what is usual. Counts
are of whole minutes. Times are seconds, unless a name says milliseconds. Nothing here changes after
it is built; `evidence_id` is "" for what is not shown as evidence.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

UNKNOWN: Final = "unknown"
"""Stands for whom a sender called and does not name: no service, and many at once."""


class Reason(StrEnum):
    """Why an error is held to have begun in a place."""

    EXCEPTION = "exception"
    STATUS = "status"
    LOG = "log"
    UNREACHABLE = "unreachable"
    TOO_SLOW = "too_slow"
    GAVE_UP = "gave_up"


class CallKind(StrEnum):
    """By which way something is called. ENTRY: nobody called that was seen."""

    CALL = "call"
    MESSAGING = "messaging"
    DATABASE = "database"
    ADDRESS = "address"
    ENTRY = "entry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """How long spans took: how many, half of them, 95 % of them, the longest, all together."""

    count: int = 0
    p50: float = 0.0
    p95: float = 0.0
    longest: float = 0.0
    sum: float = 0.0

    @property
    def mean(self) -> float:
        """Of one; 0 without any."""
        return self.sum / self.count if self.count else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCounts:
    """What was counted of one edge in one span of time.

    Attributes:
        spans: Of the called side.
        errors: Bad ones among them.
        duration: Of the spans.
        own: Without what they called themselves.
        wait: What the caller waited beyond them; all of it where nobody answered.
    """

    spans: int = 0
    errors: int = 0
    duration: Durations = Durations()
    own: Durations = Durations()
    wait: Durations = Durations()


NEVER = CallCounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A caller's operation with the one that it calls.

    Attributes:
        evidence_id: Of the time that the called operation takes itself.
        wait_evidence_id: Of what the caller waits beyond that.
        caller: "" for an entry.
        is_outward: The spans are calls that the service makes, not answers that it gives: of an
            entry, whose own begin was not seen.
    """

    evidence_id: str = ""
    wait_evidence_id: str = ""
    caller: str = ""
    caller_operation: str = ""
    service: str
    operation: str
    via: CallKind = CallKind.CALL
    is_outward: bool = False
    observed: CallCounts = NEVER
    usual: CallCounts = NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Errors that began in one place.

    Attributes:
        detail: Type of the exception, "http 503", "grpc 14", or the pattern of a line.
        observed: Times in the observed span; `usual` in the other one.
        example_ids: Examples of it, newest first.
    """

    evidence_id: str = ""
    service: str
    operation: str = ""
    reason: Reason = Reason.STATUS
    detail: str = ""
    observed: int = 0
    usual: int = 0
    example_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectCall:
    """What is called to answer once, and how often: 1, 2, 3, or 4 for four to seven, and so on."""

    service: str
    operation: str
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Good answers of an operation that made the same direct calls.

    Attributes:
        is_coarse: Of the calls only those are known that were made several times.
        observed: Of this shape in the observed span; `usual` in the other one.
        observed_total: Of any shape; `usual_total` in the other one.
    """

    evidence_id: str = ""
    service: str
    operation: str
    calls: frozenset[DirectCall] = frozenset()
    is_coarse: bool = False
    observed: int = 0
    usual: int = 0
    observed_total: int = 0
    usual_total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLines:
    """Log lines of one pattern, warnings and worse."""

    evidence_id: str = ""
    service: str
    text: str
    observed: int = 0
    usual: int = 0
    example_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of a service that was first seen, or took over, in the observed span.

    Attributes:
        evidence_id: Of its own piece of evidence, or of the change that tells it.
        environment: "" for none.
    """

    evidence_id: str = ""
    service: str
    version: str
    environment: str = ""
    first_seen_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    """One request that a sender gave as an example of a series."""

    time_ms: int
    value: float
    trace_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One error as it was told, masked. `frames` has the innermost last."""

    example_id: str
    service: str
    operation: str
    exception: str
    message: str
    frames: tuple[str, ...]
    trace_id: str
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the counts of one side rest on. `minutes` of which none were seen are no past."""

    minutes: int = 0
    traces: int = 0
    spans: int = 0
    lost: int = 0


@dataclass(frozen=True, kw_only=True)
class Traces:
    """Both sides. Empty where no traces were sent, or nobody was asked.

    Attributes:
        start_ms: Begin of the observed span.
        end_ms: Its end.
        looks: How many such spans were looked at before this one was chosen.
    """

    start_ms: int = 0
    end_ms: int = 0
    looks: int = 1
    observed: Coverage = Coverage()
    usual: Coverage = Coverage()
    calls: tuple[Call, ...] = ()
    origins: tuple[Origin, ...] = ()
    shapes: tuple[Shape, ...] = ()
    lines: tuple[LogLines, ...] = ()
    versions: tuple[Version, ...] = ()

    @cached_property
    def services(self) -> frozenset[str]:
        """Everybody of whom anything was counted."""
        named = {name for each in self.calls for name in (each.service, each.caller)}
        named |= {each.service for each in self.origins} | {each.service for each in self.shapes}
        named |= {each.service for each in self.lines} | {each.service for each in self.versions}
        return frozenset(named - {"", UNKNOWN})

    @cached_property
    def edges(self) -> frozenset[tuple[str, str]]:
        """Who calls whom, as (caller, callee)."""
        called = ((each.caller, each.service) for each in self.calls if each.caller)
        return frozenset(pair for pair in called if pair[0] != pair[1] and UNKNOWN not in pair)


NO_TRACES = Traces()
