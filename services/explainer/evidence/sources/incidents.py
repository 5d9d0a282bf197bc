"""Incidents of the past that look like this one."""

from dataclasses import dataclass, field
from typing import Final

from services.explainer.evidence.sources.embedding import embedding_of
from services.explainer.evidence.sources.reader import Shared
from services.explainer.evidence.sources.source import Findings
from services.explainer.model.evidence import Evidence, EvidenceKind, Figure
from services.explainer.model.names import plain
from services.explainer.model.subjects import SubjectFacts
from services.explainer.store.incidents import Incident, Incidents

ALIKE_MIN: Final = 0.6
SHOWN_MAX: Final = 3

_FEEDBACK: Final = {
    "right": ", which was found right",
    "partly": ", which was found partly right",
    "wrong": ", which was found wrong",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PastIncidents:
    """Those that were explained, the most alike first."""

    incidents: Incidents
    shared: Shared = field(default_factory=Shared)
    name: str = "past incidents"

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`."""
        if not await self.incidents.available():
            return Findings(unknown=("past incidents (the database has no pgvector)",))
        before_ms = facts.event_ms - facts.lead_ms
        vector = embedding_of(facts)
        found = await self.shared.once(
            (*vector, before_ms),
            lambda: self.incidents.like(vector, before_ms=before_ms, limit=SHOWN_MAX),
        )
        alike = [each for each in found if each.likeness >= ALIKE_MIN]
        return Findings(evidence=tuple(_evidence(each, facts) for each in alike))


def _evidence(past: Incident, facts: SubjectFacts) -> Evidence:
    blamed = f"was blamed on {plain(past.cause)}{_FEEDBACK.get(past.verdict, '')}"
    if past.stated_cause:
        blamed += f"; somebody named {plain(past.stated_cause)}"
    age_s = (facts.event_ms - past.event_ms) / 1000
    return Evidence(
        kind=EvidenceKind.PAST_INCIDENT,
        source=f"explainer GetExplanation {past.explanation_id}",
        title=f"{plain(past.title)} {blamed}",
        start_ms=past.event_ms,
        end_ms=past.event_ms,
        figures=(
            Figure(name="likeness", value=past.likeness, unit="1"),
            Figure(name="before_event", value=age_s, unit="s"),
        ),
        reference_id=str(past.explanation_id),
    )
