"""The series that the subject is about."""

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.errors import Overloaded
from mesh.selector import written
from services.explainer.clients import IngestClient
from services.explainer.model.names import PLACE_LABELS
from services.explainer.model.subjects import SeriesSamples, SubjectFacts
from services.explainer.rankers.measures import words_of
from services.explainer.sources.source import Findings, Reach, is_too_many

_METRICS_MAX = 3
_SHOWN_MAX = 3
_PLACES_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectSeries:
    """An anomaly names its series. An alert is tied to series by the labels they share.

    The metric of an alert is the one its rule or its annotations name; failing that, one whose name
    shares a word with the name of the alert.
    """

    ingest: IngestClient
    reach: Reach
    name: str = "series of the subject"

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`."""
        if facts.metric:
            found = await self._samples(written(facts.metric, facts.labels), facts)
            found = [each for each in found if each.labels == facts.labels] or found
        else:
            found = await self._of_alert(facts)
        if not found:
            return Findings(missing=("no series could be tied to the subject",))
        return Findings(series=tuple(found[:_SHOWN_MAX]))

    async def _of_alert(self, facts: SubjectFacts) -> list[SeriesSamples]:
        for metric in facts.metric_hints[:_METRICS_MAX]:
            if found := _fitting(await self._of_metric(metric, facts), facts):
                return found
        words = words_of(facts.labels.get("alertname", ""))
        nearby = await self._in_places("", facts)
        return _fitting(
            [each for each in nearby if words & words_of(each.labels.get("__name__", ""))], facts
        )

    async def _of_metric(self, metric: str, facts: SubjectFacts) -> list[SeriesSamples]:
        try:
            return await self._samples(written(metric, {}), facts)
        except Overloaded as error:
            if not is_too_many(error):
                raise
            return await self._in_places(metric, facts)

    async def _in_places(self, metric: str, facts: SubjectFacts) -> list[SeriesSamples]:
        """Series of the narrowest place of the subject that has any."""
        for name in [name for name in PLACE_LABELS if facts.labels.get(name)][:_PLACES_MAX]:
            asked = written(metric, {name: facts.labels[name]})
            try:
                if found := await self._samples(asked, facts):
                    return found
            except Overloaded as error:
                if not is_too_many(error):
                    raise
        return []

    async def _samples(self, asked: str, facts: SubjectFacts) -> list[SeriesSamples]:
        start_ms, end_ms = self.reach.span_of(facts)
        return await self.ingest.samples(
            asked,
            start_ms,
            end_ms,
            series_max=self.reach.series_max,
            samples_max=self.reach.samples_max,
        )


def _fitting(found: Sequence[SeriesSamples], facts: SubjectFacts) -> list[SeriesSamples]:
    """Series that contradict no label of the alert, those that share most first."""
    agreeing = [each for each in found if _shared(each, facts) >= 0]
    return sorted(agreeing, key=lambda each: (-_shared(each, facts), each.series_id))


def _shared(series: SeriesSamples, facts: SubjectFacts) -> int:
    """Number of labels in common; negative when one has another value."""
    common = series.labels.keys() & facts.labels.keys()
    differing = [name for name in common if series.labels[name] != facts.labels[name]]
    return -len(differing) if differing else len(common)
