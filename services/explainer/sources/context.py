"""What people told beforehand: changes and calls between services."""

from dataclasses import dataclass

from services.explainer.model.subjects import SubjectFacts
from services.explainer.sources.source import Findings, Reach
from services.explainer.store import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class NearbyChanges:
    """Changes that took effect before the event, or shortly after it."""

    context: Context
    reach: Reach
    name: str = "changes nearby"

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`."""
        start_ms, end_ms = self.reach.span_of(facts)
        found = await self.context.changes(start_ms, end_ms, self.reach.nearby_max)
        if found or await self.context.knows_changes():
            return Findings(changes=tuple(found))
        return Findings(unknown=("changes (WriteChange)",))


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldCalls:
    """Who calls whom, as it was told."""

    context: Context
    name: str = "calls between services"

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`."""
        return Findings(calls=await self.context.calls())
