"""What the explainer talks about: subjects, evidence, suspects. Pure data, no input or output.

Times are Unix milliseconds. Entities are service names where the labels name one, otherwise the
name of the series. Nothing here changes after it is built.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Timestamps = NDArray[np.int64]
Values = NDArray[np.float64]


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesWindow:
    """One series around the event, split into what was usual and what is observed.

    Attributes:
        evidence_id: Id under which this series is shown as evidence.
        labels: Labels of the series. `peer` names the caller when the series measures calls
            between two services; `operation` names the span or route.
        metric: Metric name; its words tell what it measures.
        service: Entity the series belongs to.
        timestamps_ms: Ascending.
        values: Same length; NaN means no sample.
        observed_start_ms: Samples from here to `observed_end_ms`, both included, are observed.
        observed_end_ms: All samples outside that span are the baseline, earlier or later.
    """

    evidence_id: str
    labels: Mapping[str, str] = field(default_factory=dict)
    metric: str
    service: str
    timestamps_ms: Timestamps
    values: Values
    observed_start_ms: int
    observed_end_ms: int

    @property
    def inside(self) -> NDArray[np.bool_]:
        """True where a sample lies in the observed span."""
        after = self.timestamps_ms >= self.observed_start_ms
        return after & (self.timestamps_ms <= self.observed_end_ms)

    @property
    def baseline(self) -> Values:
        """Finite values outside the observed span."""
        usual = self.values[~self.inside]
        return usual[np.isfinite(usual)]

    @property
    def observed(self) -> Values:
        """Finite values inside the observed span."""
        seen = self.values[self.inside]
        return seen[np.isfinite(seen)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """How far one series left its baseline.

    Attributes:
        change_ms: Since when two observed samples in a row are beyond the usual range; None when
            they never are.
        direction: 1 up, -1 down, 0 no change.
        size: Distance in robust standard deviations of the baseline, ≥ 0.
        baseline: Median before.
        spread: Robust standard deviation before, > 0.
        observed: Median of what was observed.
    """

    change_ms: int | None
    direction: int
    size: float
    baseline: float
    spread: float
    observed: float

    def figures(self) -> dict[str, float]:
        """Numbers an explanation may quote, by name."""
        return {"baseline": self.baseline, "observed": self.observed, "size_sigma": self.size}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why someone is suspected, in one sentence without markup, and the evidence for it."""

    text: str
    evidence_id: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """One candidate for the root cause.

    Attributes:
        rank: 1 is the most likely.
        score: Larger is more suspect; comparable only inside one ranking.
        confidence: Estimated probability that this is the root cause, 0..1.
    """

    entity: str
    rank: int
    score: float
    confidence: float
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The suspects, best first.

    Attributes:
        ranker: Name of the ranker that decided.
        confidence: That the first suspect is right, 0..1; 0 without suspects.
        abstained: True when nobody should be named; the order is kept for the curious.
        reason: Why it abstained, or what decided.
    """

    suspects: tuple[Suspect, ...]
    confidence: float
    abstained: bool
    reason: str
    ranker: str = ""
