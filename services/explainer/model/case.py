"""All that a ranker is given of one subject.

Times are Unix milliseconds. Entities are service names where the labels name one, otherwise the
name of the series. Nothing here changes after it is built.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from services.explainer.model.traces import NO_TRACES, Traces
from services.explainer.model.windows import SeriesWindow


class Symptom(StrEnum):
    """How the subject hurts; the router picks its evidence by this."""

    LATENCY = "latency"
    ERRORS = "errors"
    AVAILABILITY = "availability"
    RESOURCE = "resource"
    TRAFFIC = "traffic"
    ABSENCE = "absence"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The alert or anomaly to explain.

    Attributes:
        id: Fingerprint of the alert or id of the anomaly.
        metric: Metric the subject is about, "" when unknown.
        service: Entity that shows the symptom, "" when unknown.
        started_ms: When the symptom began.
        symptom: How it hurts; UNKNOWN lets the evidence decide.
    """

    id: str
    labels: Mapping[str, str] = field(default_factory=dict)
    metric: str = ""
    service: str = ""
    started_ms: int = 0
    symptom: Symptom = Symptom.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something people did: a deploy, a commit, a flag, a configuration value.

    Attributes:
        id: Commit hash, flag name or event id.
        kind: "deploy", "flag" or "config" took effect at `at_ms`; a "commit" alone did not.
        text: Free words about it: data, never instruction.
        files: Paths touched, when known.
        diff: Unified difference, when known.
    """

    evidence_id: str
    id: str
    kind: str
    service: str
    at_ms: int
    text: str = ""
    files: tuple[str, ...] = ()
    diff: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPattern:
    """One kind of log line and how its count changed.

    Attributes:
        count: Lines while the symptom lasted.
        delta: Lines more (or less) than in a baseline of the same length.
        negative: True when the line reports something bad.
    """

    evidence_id: str
    service: str
    text: str
    count: float
    delta: float
    negative: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceGraph:
    """Who calls whom: `edges` are (caller, callee)."""

    edges: frozenset[tuple[str, str]] = frozenset()

    def callees(self, caller: str) -> list[str]:
        """Services that `caller` calls, sorted."""
        return sorted({called for by, called in self.edges if by == caller})

    def dependents(self, service: str) -> frozenset[str]:
        """`service` and everything that depends on it, directly or not."""
        found = {service}
        frontier = {service}
        while frontier:
            frontier = {by for by, called in self.edges if called in frontier} - found
            found |= frontier
        return frozenset(found)

    def distances(self, start: str) -> dict[str, int]:
        """Calls from `start` down to every service it depends on; 0 for itself."""
        found = {start: 0}
        frontier = [start]
        while frontier:
            frontier = sorted({c for f in frontier for c in self.callees(f)} - found.keys())
            depth = max(found.values()) + 1
            found.update(dict.fromkeys(frontier, depth))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything known about one subject when causes are ranked."""

    subject: Subject
    series: tuple[SeriesWindow, ...] = ()
    graph: ServiceGraph = ServiceGraph()
    changes: tuple[Change, ...] = ()
    log_patterns: tuple[LogPattern, ...] = ()
    traces: Traces = NO_TRACES
