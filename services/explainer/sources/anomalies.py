"""Anomalies around the event."""

from dataclasses import dataclass

from services.explainer.clients import DetectorClient
from services.explainer.model.evidence import Evidence, EvidenceKind
from services.explainer.model.subjects import SubjectFacts
from services.explainer.sources.source import Findings, Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class NearbyAnomalies:
    """Those found from shortly before the event until shortly after."""

    detector: DetectorClient
    reach: Reach
    name: str = "anomalies nearby"

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`."""
        start_ms, end_ms = facts.event_ms - facts.lead_ms, facts.event_ms + self.reach.after_ms
        found = await self.detector.anomalies(start_ms, end_ms, self.reach.nearby_max)
        others = (each for each in found if each.ref != facts.ref)
        return Findings(evidence=tuple(as_evidence(each, "detector") for each in others))


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
    )
