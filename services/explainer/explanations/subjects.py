"""Where subjects are looked up: alerts at ingest, anomalies at the detector."""

from dataclasses import dataclass

from services.explainer.clients import DetectorClient, IngestClient
from services.explainer.model.subjects import SubjectFacts, SubjectKind, SubjectRef


@dataclass(frozen=True, slots=True)
class Subjects:
    """Finds either kind of subject."""

    ingest: IngestClient
    detector: DetectorClient

    async def fetch(self, ref: SubjectRef) -> SubjectFacts:
        """The subject as it stands.

        Raises:
            NotFound: There is none of that id.
            Unavailable: Its owner is away.
        """
        if ref.kind is SubjectKind.ALERT:
            return await self.ingest.alert(ref.id)
        return await self.detector.anomaly(ref.id)
