"""The series that the subject is about."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from services.explainer.clients import IngestClient
from services.explainer.explanation import SeriesSamples, SubjectFacts
from services.explainer.names import PLACE_LABELS, metric_names, selector
from services.explainer.rankers.measures import words_of
from services.explainer.sources.source import Findings, Reach

_METRICS_MAX = 3
_SHOWN_MAX = 3


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
            found = await self._samples(selector(facts.metric, facts.labels), facts)
            found = [each for each in found if each.labels == facts.labels] or found
        else:
            found = await self._of_alert(facts)
        if not found:
            return Findings(missing=("no series could be tied to the subject",))
        return Findings(series=tuple(found[:_SHOWN_MAX]))

    async def _of_alert(self, facts: SubjectFacts) -> list[SeriesSamples]:
        metrics = metric_names(facts.hints)[:_METRICS_MAX]
        places = [{name: facts.labels[name]} for name in PLACE_LABELS if name in facts.labels]
        asked = [selector(metric, place) for metric in metrics for place in (*places, {})]
        asked += [selector("", place) for place in places]
        if not asked:
            return []
        answers = await asyncio.gather(
            *(self._samples(each, facts) for each in asked), return_exceptions=True
        )
        if all(isinstance(answer, BaseException) for answer in answers):
            raise next(answer for answer in answers if isinstance(answer, BaseException))
        for text, answer in zip(asked, answers, strict=True):
            if not isinstance(answer, BaseException):
                fitting = _fitting(answer, facts, by_words=text.startswith("{"))
                if fitting:
                    return fitting
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


def _fitting(
    found: Sequence[SeriesSamples], facts: SubjectFacts, *, by_words: bool
) -> list[SeriesSamples]:
    """Series that contradict no label of the alert, those that share most first."""
    words = words_of(facts.labels.get("alertname", ""))
    agreeing = [each for each in found if _shared(each, facts) >= 0]
    if by_words:
        agreeing = [each for each in agreeing if words & words_of(each.labels["__name__"])]
    return sorted(agreeing, key=lambda each: (-_shared(each, facts), each.series_id))


def _shared(series: SeriesSamples, facts: SubjectFacts) -> int:
    """Number of labels in common; negative when one has another value."""
    common = series.labels.keys() & facts.labels.keys()
    differing = [name for name in common if series.labels[name] != facts.labels[name]]
    return -len(differing) if differing else len(common)
