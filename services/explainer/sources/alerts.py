"""Alerts around the event."""

from dataclasses import dataclass

from services.explainer.clients import IngestClient
from services.explainer.model.subjects import SubjectFacts
from services.explainer.sources.anomalies import as_evidence
from services.explainer.sources.source import Findings, Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class NearbyAlerts:
    """Those firing from shortly before the event until shortly after."""

    ingest: IngestClient
    reach: Reach
    name: str = "alerts nearby"

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`."""
        start_ms, end_ms = facts.event_ms - facts.lead_ms, facts.event_ms + self.reach.after_ms
        found = await self.ingest.alerts(start_ms, end_ms, self.reach.nearby_max)
        others = (each for each in found if each.ref != facts.ref)
        return Findings(evidence=tuple(as_evidence(each, "ingest") for each in others))
