"""Reads around an event; questions that like subjects have in common are asked once in a storm."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import numpy as np
from cachetools import TTLCache

from mesh.errors import Overloaded
from services.explainer.clients import DetectorClient, IngestClient
from services.explainer.evidence.sources.batches import Batches, Read
from services.explainer.evidence.sources.neighbours import Neighbours
from services.explainer.model.subjects import SeriesSamples, SubjectFacts

T = TypeVar("T")

KEPT_S: Final = 5.0
"""An answer is shared that long, counted from the question: the slower a storm is worked off, the
longer it must be for the same share."""

KEPT_MAX: Final = 64
"""Answers kept: a few megabytes each at most."""

MINUTE_MS: Final = 60_000

_company: ContextVar[Hashable] = ContextVar("sensus_company", default=None)


@contextmanager
def sharing(company: Hashable) -> Iterator[None]:
    """Inside, answers may be up to `KEPT_S` old, if they were given to the same `company`.

    That is one explanation, or all that are made without being asked for.
    """
    token = _company.set(company)
    try:
        yield
    finally:
        _company.reset(token)


class Shared:
    """Answers by their questions."""

    def __init__(self) -> None:
        """Knows none yet."""
        self._tasks: TTLCache[Hashable, asyncio.Task[Any]] = TTLCache(KEPT_MAX, KEPT_S)

    async def once(self, question: Hashable, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `ask` answers, or did a moment ago to the same question; failures are not kept.

        Outside `sharing` it is asked.
        """
        if (company := _company.get()) is None:
            return await ask()
        question = company, question
        task: asyncio.Task[T] | None = self._tasks.get(question)
        if task is None:
            task = self._tasks[question] = asyncio.create_task(ask())
            task.add_done_callback(lambda ended: self._forget_failed(question, ended))
        return task.result() if task.done() else await asyncio.shield(task)

    def _forget_failed(self, question: Hashable, ended: "asyncio.Task[Any]") -> None:
        failed = ended.cancelled() or ended.exception() is not None
        if failed and self._tasks.get(question) is ended:
            del self._tasks[question]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """How far and how much to look around an event.

    Attributes:
        before_ms: Time before the event, and before the lead of its cause, that is read.
        own_before_ms: The same for the series of the subject itself.
        after_ms: Time after it.
        series_max: Series read by one question.
        samples_max: Newest samples read of each series.
        own_samples_max: The same for the series of the subject itself.
        own_points_max: Steps in which what is older than those is read.
        nearby_read_max: Alerts, and anomalies, read around the event.
        nearby_max: Of these, how many become evidence.
    """

    before_ms: int = 60 * 60_000
    own_before_ms: int = 24 * 60 * 60_000
    after_ms: int = 5 * 60_000
    series_max: int = 400
    samples_max: int = 1000
    own_samples_max: int = 6000
    own_points_max: int = 1440
    nearby_read_max: int = 500
    nearby_max: int = 20

    def span_of(self, facts: SubjectFacts) -> tuple[int, int]:
        """First time read, and the time before which reading ends."""
        start_ms = facts.event_ms - facts.lead_ms - self.before_ms
        return start_ms, facts.event_ms + self.after_ms

    def symptom_span_of(self, facts: SubjectFacts) -> tuple[int, int]:
        """The same for what is looked for close to the symptom alone."""
        return facts.event_ms - facts.lead_ms, facts.event_ms + self.after_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Asks ingest and the detector within the reach, in whole minutes."""

    ingest: IngestClient
    detector: DetectorClient
    reach: ReadLimits
    shared: Shared = field(default_factory=Shared)
    batches: Batches = field(init=False)

    def __post_init__(self) -> None:
        """Makes the batches, which ask as it does."""
        object.__setattr__(self, "batches", Batches(self._asked))

    async def samples(
        self, metric: str, labels: Mapping[str, str], facts: SubjectFacts
    ) -> list[SeriesSamples] | None:
        """Series and their samples around the event; None when more series match than are read.

        Args:
            metric: The name of the series, "" for any.
            labels: What each of them has, none for all series.
            facts: The event.
        """
        start_ms, end_ms = self.reach.span_of(facts)
        named = likeness(facts), metric, frozenset(labels.items())

        async def cut() -> list[SeriesSamples] | None:
            read = _read(metric, labels, start_ms, end_ms, self.reach.samples_max)
            question = *named, read.start_ms, read.end_ms
            found = await self.shared.once(question, lambda: self.batches.samples(read))
            return found and [_between(each, start_ms, end_ms) for each in found]

        return await self.shared.once((*named, start_ms, end_ms, "cut"), cut)

    async def own_samples(
        self, metric: str, labels: Mapping[str, str], facts: SubjectFacts
    ) -> list[SeriesSamples]:
        """The same of the subject's own series, far back: what is more than is read, in steps."""
        start_ms, end_ms = facts.event_ms - self.reach.own_before_ms, self.reach.span_of(facts)[1]
        read = _read(metric, labels, start_ms, end_ms, self.reach.own_samples_max)
        found = await self.batches.samples(read) or []
        if any(each.timestamps_ms.size >= read.samples_max for each in found):
            found = await self._with_older(found, read)
        return [_between(each, start_ms, end_ms) for each in found]

    async def _with_older(self, found: Sequence[SeriesSamples], read: Read) -> list[SeriesSamples]:
        full = [each for each in found if each.timestamps_ms.size >= read.samples_max]
        until_ms = min(int(each.timestamps_ms[0]) for each in full)
        older = await self.ingest.samples(
            read.selector,
            read.start_ms,
            until_ms,
            series_max=self.reach.series_max,
            points_max=self.reach.own_points_max,
        )
        older_by_id = {each.series_id: each for each in older}
        return [_after(older_by_id.get(each.series_id), each, until_ms) for each in found]

    async def alerts(self, facts: SubjectFacts) -> Neighbours:
        """Alerts close to the symptom, the newest ones."""
        span = _whole_minutes(*self.reach.symptom_span_of(facts))

        async def ask() -> Neighbours:
            found = await self.ingest.alerts(*span, self.reach.nearby_read_max)
            return Neighbours(found, "ingest")

        return await self.shared.once((likeness(facts), "alerts", *span), ask)

    async def anomalies(self, facts: SubjectFacts) -> Neighbours:
        """Anomalies close to the symptom, the newest ones."""
        span = _whole_minutes(*self.reach.symptom_span_of(facts))

        async def ask() -> Neighbours:
            found = await self.detector.anomalies(*span, self.reach.nearby_read_max)
            return Neighbours(found, "detector")

        return await self.shared.once((likeness(facts), "anomalies", *span), ask)

    async def _asked(self, selector: str, read: Read) -> list[SeriesSamples] | None:
        try:
            return await self.ingest.samples(
                selector,
                read.start_ms,
                read.end_ms,
                series_max=self.reach.series_max,
                samples_max=read.samples_max,
            )
        except Overloaded as error:
            if error.reason != "TOO_MANY_SERIES":
                raise
            return None


def likeness(facts: SubjectFacts) -> str:
    """Subjects with the same may share what is around them; others are traced to all they read."""
    return facts.labels.get("alertname", "") or facts.metric


def _read(
    metric: str, labels: Mapping[str, str], start_ms: int, end_ms: int, samples_max: int
) -> Read:
    """In whole minutes, so that subjects of the same minute read the same."""
    first_ms, last_ms = _whole_minutes(start_ms, end_ms)
    return Read(
        metric=metric, labels=labels, start_ms=first_ms, end_ms=last_ms, samples_max=samples_max
    )


def _whole_minutes(start_ms: int, end_ms: int) -> tuple[int, int]:
    return start_ms // MINUTE_MS * MINUTE_MS, -(-end_ms // MINUTE_MS) * MINUTE_MS


def _after(older: SeriesSamples | None, newer: SeriesSamples, until_ms: int) -> SeriesSamples:
    """One series of two readings, the older one up to `until_ms`."""
    if older is None or not newer.timestamps_ms.size or newer.timestamps_ms[0] < until_ms:
        return newer
    return replace(
        newer,
        timestamps_ms=np.concatenate([older.timestamps_ms, newer.timestamps_ms]),
        values=np.concatenate([older.values, newer.values]),
    )


def _between(series: SeriesSamples, start_ms: int, end_ms: int) -> SeriesSamples:
    times = series.timestamps_ms
    if not times.size or (times[0] >= start_ms and times[-1] < end_ms):
        return series
    first, last = np.searchsorted(times, (start_ms, end_ms))
    return replace(
        series,
        timestamps_ms=series.timestamps_ms[first:last],
        values=series.values[first:last],
    )
