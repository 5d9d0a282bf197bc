"""The series that the subject is about."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mesh.selector import METRIC_NAME
from services.explainer.evidence.sources.reader import Reader
from services.explainer.evidence.sources.source import Findings
from services.explainer.model.names import PLACE_LABELS
from services.explainer.model.subjects import SeriesSamples, SubjectFacts
from services.explainer.rankers.measures import Measure, measure_of, words_of

_METRICS_MAX = 3
_SHOWN_MAX = 3
_PLACES_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectSeries:
    """An anomaly names its series. An alert is tied to series by the labels they share.

    The metric of an alert is the one its rule or its annotations name; failing that, one whose name
    shares a word with the name of the alert, or measures what it names.
    """

    reader: Reader
    name: str = "series of the subject"

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`."""
        if facts.metric:
            found = await self.reader.samples(facts.metric, _but_name(facts.labels), facts) or []
            found = [each for each in found if each.labels == facts.labels] or found
        else:
            found = await self._of_alert(facts)
        if not found:
            return Findings(missing=("no series could be tied to the subject",))
        whole = await asyncio.gather(*(self._whole(each, facts) for each in found[:_SHOWN_MAX]))
        return Findings(series=tuple(whole))

    async def _of_alert(self, facts: SubjectFacts) -> list[SeriesSamples]:
        for metric in facts.metric_hints[:_METRICS_MAX]:
            series = await self.reader.samples(metric, {}, facts)
            if series is None:
                series = await self._in_places(metric, facts)
            if found := _fitting(series, facts):
                return found
        nearby = await self._in_places("", facts)
        return _fitting(_about(facts.labels.get("alertname", ""), nearby), facts)

    async def _in_places(self, metric: str, facts: SubjectFacts) -> list[SeriesSamples]:
        """Series of the narrowest place of the subject that has any."""
        for name in [name for name in PLACE_LABELS if facts.labels.get(name)][:_PLACES_MAX]:
            if found := await self._in_place(metric, {name: facts.labels[name]}, facts):
                return found
        return []

    async def _in_place(
        self, metric: str, place: Mapping[str, str], facts: SubjectFacts
    ) -> list[SeriesSamples]:
        """Out of all series of the place, read anyhow; where those are too many, of the metric."""
        found = await self.reader.samples("", place, facts)
        if found is None:
            return (await self.reader.samples(metric, place, facts) if metric else None) or []
        return [each for each in found if metric in ("", each.labels.get(METRIC_NAME, ""))]

    async def _whole(self, series: SeriesSamples, facts: SubjectFacts) -> SeriesSamples:
        """The same series, read back as far as it takes to see since when it is as it is."""
        metric = series.labels.get(METRIC_NAME, "")
        found = await self.reader.own_samples(metric, _but_name(series.labels), facts)
        return next((each for each in found if each.series_id == series.series_id), series)


def _but_name(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != METRIC_NAME}


def _about(name: str, nearby: Sequence[SeriesSamples]) -> list[SeriesSamples]:
    """Those that share a word with the name of an alert, or else measure what it names."""
    words, measure = _singular(name), measure_of(name)
    by_word = [s for s in nearby if words & _singular(s.labels.get(METRIC_NAME, ""))]
    if by_word or measure is Measure.OTHER:
        return by_word
    return [s for s in nearby if measure_of(s.labels.get(METRIC_NAME, "")) is measure]


def _singular(name: str) -> set[str]:
    return {word.removesuffix("s") for word in words_of(name)}


def _fitting(found: Sequence[SeriesSamples], facts: SubjectFacts) -> list[SeriesSamples]:
    """Series that contradict no label of the alert, those that share most first."""
    agreeing = [each for each in found if _shared(each, facts) >= 0]
    return sorted(agreeing, key=lambda each: (-_shared(each, facts), each.series_id))


def _shared(series: SeriesSamples, facts: SubjectFacts) -> int:
    """Number of labels in common; negative when one has another value."""
    common = series.labels.keys() & facts.labels.keys()
    differing = [name for name in common if series.labels[name] != facts.labels[name]]
    return -len(differing) if differing else len(common)
