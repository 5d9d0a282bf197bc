"""Other series that may have moved with the subject's."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from mesh.errors import Overloaded, SensusError
from mesh.selector import written
from services.explainer.clients import DetectorClient, IngestClient
from services.explainer.model.names import PLACE_LABELS
from services.explainer.model.subjects import SeriesSamples, SubjectFacts
from services.explainer.sources.source import Findings, Reach, is_too_many

_ALL = '{__name__=~".+"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedSeries:
    """Reads every series when they are few.

    When they are many, it reads those that share a place with the subject, and those that the
    detector found abnormal at the time: it has seen every sample, so it is the index of what moved.
    """

    ingest: IngestClient
    detector: DetectorClient
    reach: Reach
    name: str = "series that moved"

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`."""
        try:
            return Findings(series=tuple(await self._samples(_ALL, facts)))
        except Overloaded as error:
            if not is_too_many(error):
                raise
            return await self._around(facts)

    async def _around(self, facts: SubjectFacts) -> Findings:
        asked = _places(facts) + await self._abnormal(facts)
        answers = await asyncio.gather(
            *(self._samples(each, facts) for each in dict.fromkeys(asked)), return_exceptions=True
        )
        found: dict[int, SeriesSamples] = {}
        for answer in answers:
            if isinstance(answer, BaseException):
                if isinstance(answer, SensusError) and is_too_many(answer):
                    continue
                raise answer
            found.update((series.series_id, series) for series in answer)
        told = "not every series was read: those near the subject and the abnormal ones were"
        return Findings(series=tuple(found.values()), missing=(told,))

    async def _abnormal(self, facts: SubjectFacts) -> list[str]:
        start_ms, end_ms = facts.event_ms - facts.lead_ms, facts.event_ms + self.reach.after_ms
        try:
            nearby = await self.detector.anomalies(start_ms, end_ms, self.reach.nearby_max)
        except SensusError:
            return []
        return [written(each.metric, each.labels) for each in nearby]

    async def _samples(self, asked: str, facts: SubjectFacts) -> list[SeriesSamples]:
        start_ms, end_ms = self.reach.span_of(facts)
        return await self.ingest.samples(
            asked,
            start_ms,
            end_ms,
            series_max=self.reach.series_max,
            samples_max=self.reach.samples_max,
        )


def _places(facts: SubjectFacts) -> list[str]:
    shared: Iterable[str] = (name for name in PLACE_LABELS if facts.labels.get(name))
    return [written("", {name: facts.labels[name]}) for name in shared]
