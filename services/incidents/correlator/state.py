"""What the correlator knows, in order of arrival: equal logs give equal bytes."""

from dataclasses import dataclass, field

from services.incidents.correlator.background import Background
from services.incidents.correlator.bursts import Burst


@dataclass(slots=True)
class LastMembership:
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
    held_by_fingerprint: dict[str, LastMembership] = field(default_factory=dict)
    firing_by_id: dict[str, Member] = field(default_factory=dict)
    background: Background = field(default_factory=Background)
    environments: dict[str, dict[str, Burst]] = field(default_factory=dict)
    """The same bursts by environment."""
    touched_bursts: set[str] = field(default_factory=set)
    touched_groups: set[str] = field(default_factory=set)
    """What changed, or is gone, since it was last kept."""
    left_alone_ms: int = 0
    """When an alert last fitted nothing: what comes together with it has company."""

    def put(self, burst: Burst) -> None:
        """Adds a burst."""
        self.bursts[burst.incident_id] = burst
        self.environments.setdefault(burst.environment, {})[burst.incident_id] = burst
        self.touched_bursts.add(burst.incident_id)

    def drop(self, incident_id: str) -> Burst | None:
        """Takes a burst out, if there is one."""
        burst = self.bursts.pop(incident_id, None)
        if burst is not None:
            self.touched_bursts.add(incident_id)
            alike = self.environments[burst.environment]
            del alike[incident_id]
            if not alike:
                del self.environments[burst.environment]
        return burst
