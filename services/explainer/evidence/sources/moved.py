"""Other series that may have moved with the subject's."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from mesh.errors import SensusError
from mesh.selector import METRIC_NAME
from services.explainer.evidence.sources.nearby import weightiest
from services.explainer.evidence.sources.reader import Reader
from services.explainer.evidence.sources.source import Findings
from services.explainer.model.names import PLACE_LABELS
from services.explainer.model.subjects import SubjectFacts

_Wanted = tuple[str, tuple[tuple[str, str], ...]]
"""A metric, "" for any, and labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedSeries:
    """Reads every series when they are few.

    When they are many, it reads those that share a place with the subject, and those that the
    detector found abnormal at the time: it has seen every sample, so it is the index of what moved.
    """

    reader: Reader
    name: str = "series that moved"

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`."""
        found = await self.reader.samples("", {}, facts)
        return await self._around(facts) if found is None else Findings(series=tuple(found))

    async def _around(self, facts: SubjectFacts) -> Findings:
        asked = dict.fromkeys(_places(facts) + await self._abnormal(facts))
        answers = await asyncio.gather(
            *(self.reader.samples(metric, dict(labels), facts) for metric, labels in asked)
        )
        found = {series.series_id: series for answer in answers for series in answer or ()}
        note = "not every series was read: those near the subject and the abnormal ones were"
        return Findings(series=tuple(found.values()), missing=(note,))

    async def _abnormal(self, facts: SubjectFacts) -> list[_Wanted]:
        try:
            found = await self.reader.anomalies(facts)
        except SensusError:
            return []
        nearby = weightiest(found, facts, self.reader.reach.nearby_max)
        return [(each.metric, _but_name(each.labels)) for each in nearby]


def _places(facts: SubjectFacts) -> list[_Wanted]:
    return [("", ((name, facts.labels[name]),)) for name in PLACE_LABELS if facts.labels.get(name)]


def _but_name(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pair for pair in labels.items() if pair[0] != METRIC_NAME))
