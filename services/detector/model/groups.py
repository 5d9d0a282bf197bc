"""Anomalies of several series at once: which of them is announced, and which are its members.

What begins in many series of one service or sender at about the same time is one thing to a
person. The first anomaly leads, the others are its members. Nothing is a member of what is less
severe, of what is over, of its own series' earlier anomaly, or of one that was held back and is not
as loud: it is announced by itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.detector.model.anomalies import Finding, Kind, Severity
from services.detector.model.samples import Labels

SENDER_LABELS: Final = (
    "service", "service_name", "app", "application", "job", "deployment", "container", "pod",
    "instance", "host", "hostname", "host_name", "node", "device", "agent", "sender", "source",
)  # fmt: skip
"""Labels that name who sends a series, the one that says most first."""
TOGETHER_MS: Final[Mapping[Kind, int]] = {Kind.VALUE: 300_000, Kind.ABSENCE: 600_000}
"""How far apart anomalies of a group begin at most; those of rules are announced one by one."""

SharedLabel = tuple[str, str]
NO_LABEL: Final[SharedLabel] = ("", "")


def sender_of(labels: Labels, *, any_label: bool = False) -> SharedLabel:
    """The label that names who sends a series; with `any_label` the first one if none is known.

    >>> sender_of({"__name__": "up", "instance": "a:1", "job": "shop"})
    ('job', 'shop')
    >>> sender_of({"__name__": "up", "zone": "b"}), sender_of({"zone": "b"}, any_label=True)
    (('', ''), ('zone', 'b'))
    """
    others = sorted(labels.keys() - {"__name__"}) if any_label else []
    for name in (*SENDER_LABELS, *others):
        if value := labels.get(name):
            return name, value
    return NO_LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """An open anomaly that others may join."""

    anomaly_id: str
    kind: Kind
    series_id: int
    shared: SharedLabel
    event_ms: int
    alert_score: float
    over_budget: bool

    def takes(self, found: Finding) -> bool:
        """Whether the finding is a member of this anomaly."""
        return (
            self.kind is found.kind
            and self.series_id != found.series_id
            and Severity.of_score(self.alert_score) >= found.severity
            and not (self.over_budget and found.alert_score > self.alert_score)
            and abs(found.event_ms - self.event_ms) <= TOGETHER_MS[found.kind]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedFinding:
    """A finding and its place; one that is not `listed` is counted for its lead and not kept."""

    finding: Finding
    lead_id: str | None


def placed(
    findings: Sequence[Finding],
    open_leads: Iterable[Lead],
    as_announced: Callable[[Finding], Finding] = lambda lead: lead,
) -> list[PlacedFinding]:
    """The findings, each under the earliest lead that takes it, or as a lead itself.

    `as_announced` gives a new lead as it is announced, in their order: within the budget or held
    back.
    """
    leads = dict[SharedLabel, list[Lead]]()
    for lead in sorted(open_leads, key=lambda each: (each.event_ms, each.anomaly_id)):
        leads.setdefault(lead.shared, []).append(lead)
    return [_placed(found, leads, as_announced) for found in findings]


def _placed(
    found: Finding,
    leads: dict[SharedLabel, list[Lead]],
    as_announced: Callable[[Finding], Finding],
) -> PlacedFinding:
    is_grouped = found.shared != NO_LABEL and found.kind in TOGETHER_MS
    mine = leads.setdefault(found.shared, []) if is_grouped else []
    lead_id = next((lead.anomaly_id for lead in mine if lead.takes(found)), None)
    if lead_id is not None:
        return PlacedFinding(finding=found, lead_id=lead_id)
    announced = as_announced(found)
    mine.append(_as_lead(announced))
    return PlacedFinding(finding=announced, lead_id=None)


def _as_lead(found: Finding) -> Lead:
    return Lead(
        anomaly_id=found.anomaly_id,
        kind=found.kind,
        series_id=found.series_id,
        shared=found.shared,
        event_ms=found.event_ms,
        alert_score=found.alert_score,
        over_budget=found.over_budget,
    )
