"""A piece of evidence: its kind, its figures, its time span."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from services.explainer.model.windows import Timestamps, Values

LOOKED_FOR = "explainer"
"""Source of evidence that something looked for is not there."""


class EvidenceKind(StrEnum):
    """What a piece of evidence shows."""

    SUBJECT_SERIES = "subject_series"
    MOVED_SERIES = "moved_series"
    ANOMALY = "anomaly"
    ALERT = "alert"
    CHANGE = "change"
    TOPOLOGY = "topology"
    LOG_ERRORS = "log_errors"
    TRACE_TIME = "trace_time"
    PAST_INCIDENT = "past_incident"
    THRESHOLD = "threshold"
    ORIGIN_ERRORS = "origin_errors"
    CALL_SHAPE = "call_shape"
    CALL_WAIT = "call_wait"
    EXAMPLE = "example"
    MISSING = "missing"


SAMPLED: Final = "sampled"
"""Figure of an example that is a request behind the subject's own series: its value."""

COUNTED: Final = (EvidenceKind.ORIGIN_ERRORS, EvidenceKind.CALL_SHAPE, EvidenceKind.CALL_WAIT)
"""What was counted of traces and differs from what is usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One named number; `unit` is UCUM or a Prometheus base unit, "" for the unit of the series."""

    name: str
    value: float
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """A piece of a series for drawing."""

    timestamps_ms: Timestamps
    values: Values


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One piece of evidence; every number of the text is one of its figures.

    Attributes:
        evidence_id: "E1", "E2", … within one explanation; "" until it is numbered.
        source: The service and the query that gives it again.
        reference_id: Anomaly, alert, change or past explanation it is about; "" for series.
        rule: Name of the rule whose threshold was crossed; "" where it is unknown.
        severity: Of the alert or anomaly; "" for all else.
        is_apart: Whether a series is far from what is usual since before it was looked at.
        link: Where more of it is shown, as the settings say; "" for nowhere.
        made: What was made of it already, by what it is: like explanations show the same piece.
    """

    evidence_id: str = ""
    kind: EvidenceKind
    source: str
    title: str
    start_ms: int
    end_ms: int
    labels: Mapping[str, str] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    reference_id: str = ""
    samples: Samples | None = None
    rule: str = ""
    severity: str = ""
    is_apart: bool = False
    link: str = ""
    made: dict[Hashable, Any] = field(init=False, default_factory=dict, repr=False, compare=False)

    def numbered(self, evidence_id: str) -> "Evidence":
        """The same piece under its number."""
        known: Evidence | None = self.made.get(evidence_id)
        if known is None:
            known = self.made[evidence_id] = replace(self, evidence_id=evidence_id)
        return known

    def figure(self, name: str) -> Figure | None:
        """The figure of that name, if it has one."""
        return self._figure_by_name.get(name)

    @cached_property
    def _figure_by_name(self) -> Mapping[str, Figure]:
        return {each.name: each for each in reversed(self.figures)}

    @cached_property
    def is_measured(self) -> bool:
        """Whether it is a series of which is known what is usual and what was observed."""
        return bool(self.figure("baseline") and self.figure("observed"))

    @property
    def is_sampled(self) -> bool:
        """Whether it is an example of the subject's own series."""
        return self.kind is EvidenceKind.EXAMPLE and self.figure(SAMPLED) is not None

    @property
    def is_counted(self) -> bool:
        """Whether it tells what traces do other than usual."""
        return self.kind in COUNTED

    @cached_property
    def has_moved(self) -> bool:
        """Whether it is a series that left its usual range: only then it tells since when."""
        since = self.figure("change_before_event") or self.figure("change_after_event")
        return self.is_measured and since is not None

    @cached_property
    def is_outside(self) -> bool:
        """Whether it is a series that did not move and still reached what it usually does not."""
        return self.is_measured and not self.has_moved and bool(self._beyond)

    @property
    def _beyond(self) -> Figure | None:
        named = self.figure("reached")
        ranged = named and self.figure("usual_low") and self.figure("usual_high")
        return ranged or self.figure("gained")

    @cached_property
    def is_exhausted(self) -> bool:
        """Whether it is a resource that ran full."""
        return bool(self.figure("full_before_event") or self.figure("full_after_event"))
