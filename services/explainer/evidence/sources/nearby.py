"""Alerts and anomalies around the event, those that say most of it first."""

from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass

from services.explainer.evidence.sources.neighbours import Neighbours
from services.explainer.evidence.sources.source import Findings
from services.explainer.model.subjects import SubjectFacts


@dataclass(frozen=True, slots=True)
class Nearby:
    """Those that began, or were firing, from shortly before the onset until after the event.

    Attributes:
        ask: Finds them.
        at_most: How many become evidence.
    """

    ask: Callable[[SubjectFacts], Awaitable[Neighbours]]
    _: KW_ONLY
    at_most: int
    name: str

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`."""
        found = await self.ask(facts)
        kept = found.weightiest(facts, self.at_most)
        return Findings(evidence=tuple(found.piece(each) for each in kept))
