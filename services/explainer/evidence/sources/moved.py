"""Other series that may have moved with the subject's."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mesh.errors import SensusError
from mesh.selector import METRIC_NAME
from services.explainer.evidence.sources.reader import Reader, likeness
from services.explainer.evidence.sources.source import Findings
from services.explainer.model.names import PLACE_LABELS
from services.explainer.model.subjects import SeriesSamples, SubjectFacts

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
        places = [(name, facts.labels[name]) for name in PLACE_LABELS if facts.labels.get(name)]
        near = await self._samples([("", (place,)) for place in places], facts)
        read = {place for place, found in zip(places, near, strict=True) if found is not None}
        asked = tuple(each for each in await self._abnormal(facts) if read.isdisjoint(each[1]))
        far = await self.reader.shared.once(
            (likeness(facts), asked, self.reader.reach.span_of(facts)),
            lambda: self._samples(asked, facts),
        )
        found = {series.series_id: series for answer in (*near, *far) for series in answer or ()}
        note = "not every series was read: those near the subject and the abnormal ones were"
        return Findings(series=tuple(found.values()), missing=(note,))

    async def _samples(
        self, wanted: Sequence[_Wanted], facts: SubjectFacts
    ) -> list[list[SeriesSamples] | None]:
        reads = (self.reader.samples(metric, dict(labels), facts) for metric, labels in wanted)
        return await asyncio.gather(*reads)

    async def _abnormal(self, facts: SubjectFacts) -> list[_Wanted]:
        try:
            found = await self.reader.anomalies(facts)
        except SensusError:
            return []
        nearby = found.weightiest(facts, self.reader.reach.nearby_max)
        return [(each.metric, _but_name(each.labels)) for each in nearby]


def _but_name(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pair for pair in labels.items() if pair[0] != METRIC_NAME))
