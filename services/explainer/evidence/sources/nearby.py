"""Alerts and anomalies around the event, those that say most of it first."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from services.explainer.evidence.sources.reader import Reader
from services.explainer.evidence.sources.source import Findings
from services.explainer.model.evidence import Evidence, EvidenceKind
from services.explainer.model.subjects import SubjectFacts

_SEVERITIES: Final = {"critical": 0, "warning": 1}
_SAYS_NOTHING: Final = frozenset({"alertname", "severity", "__name__", "job", "prometheus"})
_RULES_MAX: Final = 5
"""Thresholds of which the rule is looked up: lists do not name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearbyAlerts:
    """Those firing from shortly before the onset until shortly after the event."""

    reader: Reader
    name: str = "alerts nearby"

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`."""
        found = await self.reader.alerts(facts)
        kept = weightiest(found, facts, self.reader.reach.nearby_max)
        return Findings(evidence=tuple(as_evidence(each, "ingest") for each in kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class NearbyAnomalies:
    """Those found from shortly before the onset until shortly after the event."""

    reader: Reader
    name: str = "anomalies nearby"

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`."""
        found = await self.reader.anomalies(facts)
        kept = weightiest(found, facts, self.reader.reach.nearby_max)
        breaches = [each.ref.id for each in kept if each.is_breach][:_RULES_MAX]
        whole = await asyncio.gather(
            *(self.reader.anomaly(each) for each in breaches), return_exceptions=True
        )
        whole_by_id = dict(zip(breaches, whole, strict=True))
        pieces = [whole_by_id.get(each.ref.id, each) for each in kept]
        return Findings(
            evidence=tuple(
                as_evidence(each if isinstance(each, SubjectFacts) else plain, "detector")
                for each, plain in zip(pieces, kept, strict=True)
            )
        )


def weightiest(
    found: Iterable[SubjectFacts], facts: SubjectFacts, at_most: int
) -> list[SubjectFacts]:
    """The others that say most: severe ones, then those that share labels, then the closest."""
    places = [pair for pair in facts.labels.items() if pair[0] not in _SAYS_NOTHING]

    def weight(each: SubjectFacts) -> tuple[int, int, int, str]:
        severity = _SEVERITIES.get(each.severity, len(_SEVERITIES))
        shared = sum(each.labels.get(name) == value for name, value in places)
        return severity, -shared, abs(each.event_ms - facts.event_ms), each.ref.id

    others = (each for each in found if each.ref != facts.ref)
    return sorted(others, key=weight)[:at_most]


def as_evidence(facts: SubjectFacts, owner: str) -> Evidence:
    """An alert or anomaly as a piece of evidence."""
    kind, call = EvidenceKind(facts.ref.kind.value), facts.ref.kind.value.capitalize()
    if facts.is_breach:
        kind = EvidenceKind.THRESHOLD
    return Evidence(
        kind=kind,
        source=f"{owner} Get{call} {facts.ref.id}",
        title=facts.title,
        start_ms=facts.event_ms,
        end_ms=facts.event_ms,
        labels=facts.labels,
        figures=facts.figures,
        reference_id=facts.ref.id,
        rule=facts.rule_name,
        severity=facts.severity,
    )
