"""A request that the sender gave as an example of the subject's own series, by its trace."""

from dataclasses import dataclass

from mesh.errors import SensusError
from mesh.selector import METRIC_NAME, written
from services.explainer.clients import IngestClient
from services.explainer.evidence.sources.reader import ReadLimits
from services.explainer.evidence.sources.source import Findings
from services.explainer.evidence.traces import exemplar_piece
from services.explainer.model.subjects import SubjectFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnExemplars:
    """The greatest one near an anomaly; of equal ones the one that is closest to it.

    Attributes:
        trace_url: Where a trace is shown, with {trace_id} in it; "" for nowhere.
    """

    ingest: IngestClient
    reach: ReadLimits
    trace_url: str = ""
    name: str = "exemplars"

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`. An alert names no series of its own, and few senders give any."""
        if not facts.metric:
            return Findings()
        labels = {name: value for name, value in facts.labels.items() if name != METRIC_NAME}
        start_ms, end_ms = self.reach.symptom_span_of(facts)
        try:
            found = await self.ingest.exemplars(written(facts.metric, labels), start_ms, end_ms)
        except SensusError:
            return Findings()
        if not found:
            return Findings()
        best = max(found, key=lambda each: (each.value, -abs(each.time_ms - facts.event_ms)))
        return Findings(evidence=(exemplar_piece(best, facts, self.trace_url),))
