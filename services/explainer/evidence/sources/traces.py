"""What traces and log lines do other than usual, as topology counted it."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from mesh.clock import Clock
from mesh.deadline import time_remaining
from mesh.errors import SensusError
from services.explainer.clients import TopologyClient
from services.explainer.evidence.sources.reader import MINUTE_MS, ReadLimits, Shared
from services.explainer.evidence.sources.source import Findings
from services.explainer.evidence.traces import example_piece, shown_origins
from services.explainer.model.evidence import Evidence
from services.explainer.model.names import plain
from services.explainer.model.subjects import SubjectFacts
from services.explainer.model.traces import NO_TRACES, Example, Traces
from services.explainer.rankers.lines import new_lines
from services.explainer.rankers.origins import excesses
from services.explainer.rankers.paths import changed_shapes
from services.explainer.rankers.systems import comparable, within
from services.explainer.rankers.ties import SAYS_NO_PLACE
from services.explainer.rankers.waits import longer

LEADS_MS: Final = (MINUTE_MS, 4 * MINUTE_MS)
"""Begins of the observed span before the event that are tried beside the whole lead: a fault that
is younger than the lead is thinned by the time before it, one that is older taken for usual."""

OBSERVED_MAX_MS: Final = 5 * 60 * MINUTE_MS
"""Topology compares 6 hours, the time after the event included."""

EXAMPLES_SHOWN_MAX: Final = 3

ANSWERS_SHARE: Final = 0.8
"""Of the time that is left: what was answered by then is used, the rest is left for that."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedTraces:
    """The traces around the event beside those before, over the span in which most is unusual.

    Attributes:
        trace_url: Where a trace is shown, with {trace_id} in it; "" for nowhere.
    """

    topology: TopologyClient
    reach: ReadLimits
    clock: Clock
    trace_url: str = ""
    shared: Shared = field(default_factory=Shared)
    name: str = "traces"

    async def find(self, facts: SubjectFacts) -> Findings:
        """See `Source.find`."""
        longest = min(facts.lead_ms, OBSERVED_MAX_MS)
        leads = {min(each, longest) for each in (*LEADS_MS, longest)}
        starts = sorted({(facts.event_ms - lead) // MINUTE_MS * MINUTE_MS for lead in leads})
        end_ms = -(-(facts.event_ms + self.reach.after_ms) // MINUTE_MS) * MINUTE_MS
        until_ms = end_ms if end_ms <= self.clock.now_ms() else None
        answers, late = await in_time([self._compared(each, until_ms) for each in starts])
        traces = await asyncio.to_thread(lambda: sharpest([_near(each, facts) for each in answers]))
        if traces is NO_TRACES:
            if any(each.observed.spans or each.usual.spans for each in answers):
                return Findings(missing=("traces of before, to tell what is usual",))
            return Findings(unknown=("traces (OTLP)",))
        lost = ("traces: some were lost before they were counted",) if traces.observed.lost else ()
        unseen = f"traces: {late} of {len(starts)} spans of time were not compared in time"
        return Findings(
            traces=traces,
            calls=traces.edges,
            evidence=await self._examples(traces),
            missing=(*lost, unseen) if late else lost,
        )

    async def _compared(self, start_ms: int, end_ms: int | None) -> Traces:
        return await self.shared.once(
            ("compared", start_ms, end_ms), lambda: self.topology.compared(start_ms, end_ms)
        )

    async def _examples(self, traces: Traces) -> tuple[Evidence, ...]:
        """Of the least likely errors, each the newest one; none where they cannot be had."""
        found = shown_origins(traces)
        wanted = [each.origin for each in found if each.origin.example_ids][:EXAMPLES_SHOWN_MAX]
        services = sorted({each.service for each in wanted})
        try:
            answers, _ = await in_time([self._examples_of(each, traces) for each in services])
        except (SensusError, TimeoutError):
            return ()
        by_id = {each.example_id: each for answer in answers for each in answer}
        newest = [
            next((by_id[id] for id in each.example_ids if id in by_id), None) for each in wanted
        ]
        return tuple(example_piece(each, self.trace_url) for each in newest if each)

    async def _examples_of(self, service: str, traces: Traces) -> list[Example]:
        return await self.shared.once(
            ("examples", service, traces.start_ms),
            lambda: self.topology.examples(service, traces.start_ms),
        )


async def in_time(asked: Sequence[Coroutine[Any, Any, T]]) -> tuple[list[T], int]:
    """What was answered while there is time left to use it, in order, and how many are late.

    Raises:
        TimeoutError: None was answered, or as the first that failed where none was.
    """
    if not asked:
        return [], 0
    left_s = time_remaining()
    tasks = [asyncio.create_task(each) for each in asked]
    try:
        await asyncio.wait(tasks, timeout=None if left_s is None else ANSWERS_SHARE * left_s)
    finally:
        late = sum(task.cancel() for task in tasks)
    ended = [task for task in tasks if task.done() and not task.cancelled()]
    answers = [task.result() for task in ended if not task.exception()]
    if answers:
        return answers, late
    raise next((error for task in ended if (error := task.exception())), TimeoutError())


def _near(traces: Traces, facts: SubjectFacts) -> Traces:
    named = (value for name, value in facts.labels.items() if name not in SAYS_NO_PLACE)
    return within(traces, {plain(each) for each in named})


def sharpest(compared: Sequence[Traces]) -> Traces:
    """The comparison in which the least likely thing is least likely; of equal ones the longest.

    A comparison counts the less, the fewer requests tell what is usual. `NO_TRACES` where none can
    be compared with a time before.
    """
    known = [each for each in compared if comparable(each)]
    looked = [replace(each, looks=len(known)) for each in known]

    def unlikely(each: Traces) -> tuple[float, int]:
        return round(comparable(each) * _farthest(each), 6), -each.start_ms

    return max(looked, key=unlikely, default=NO_TRACES)


def _farthest(traces: Traces) -> float:
    sigmas = [each.sigmas for each in excesses(traces)]
    sigmas += [each.sigmas for each in changed_shapes(traces)]
    sigmas += [found for _, found in new_lines(traces)]
    return max([0.0, *sigmas, *(each.size * each.trust for each in longer(traces))])
