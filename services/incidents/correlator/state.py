"""What the correlator knows, in order of arrival: equal logs give equal bytes."""

from dataclasses import dataclass, field

from services.incidents.correlator.background import Background
from services.incidents.correlator.bursts import Burst


@dataclass(slots=True)
class Held:
    """Where a fingerprint was last: it belongs there until `until_ms`; None while that is open."""

    incident_id: str
    until_ms: int | None = None


@dataclass(slots=True)
class RuleGroup:
    """The newest incident of a rule for equal labels."""

    incident_id: str
    last_ms: int


@dataclass(slots=True)
class Member:
    """A member that fires."""

    incident_id: str
    fingerprint: str


@dataclass(slots=True)
class State:
    """Bursts and groups of rules, who holds what, and what comes by itself."""

    bursts: dict[str, Burst] = field(default_factory=dict)
    rule_groups: dict[str, RuleGroup] = field(default_factory=dict)
    held_by_fingerprint: dict[str, Held] = field(default_factory=dict)
    firing_by_id: dict[str, Member] = field(default_factory=dict)
    background: Background = field(default_factory=Background)
    left_alone_ms: int = 0
    """When an alert last fitted nothing: what comes together with it has company."""
