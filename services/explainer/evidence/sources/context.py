"""What people told beforehand: changes and calls between services."""

from dataclasses import dataclass, field

from services.explainer.evidence.sources.reader import ReadLimits, Shared
from services.explainer.evidence.sources.source import Findings
from services.explainer.model.subjects import SubjectFacts
from services.explainer.store.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class NearbyChanges:
    """Changes that took effect before the event, or shortly after it."""

    context: Context
    reach: ReadLimits
    shared: Shared = field(default_factory=Shared)
    name: str = "changes nearby"

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`."""
        start_ms, end_ms = self.reach.span_of(facts)
        return await self.shared.once((start_ms, end_ms), lambda: self._between(start_ms, end_ms))

    async def _between(self, start_ms: int, end_ms: int) -> Findings:
        found = await self.context.changes(start_ms, end_ms, self.reach.nearby_max)
        if found or await self.context.knows_changes():
            return Findings(changes=tuple(found))
        return Findings(unknown=("changes (WriteChange)",))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedCalls:
    """Who calls whom, as it was told."""

    context: Context
    shared: Shared = field(default_factory=Shared)
    name: str = "calls between services"

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`."""
        return Findings(calls=await self.shared.once("calls", self.context.calls))
