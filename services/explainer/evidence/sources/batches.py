"""Reads of like series that wait at the same moment, asked of ingest as one."""

import asyncio
import contextvars
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mesh.selector import METRIC_NAME, written, written_any
from services.explainer.model.subjects import SeriesSamples

_READS_MAX: Final = 32
_LISTED_CHARS_MAX: Final = 1500
"""Values in one selector: escaped they are at most twice as long, and ingest takes 4096."""

_ALL: Final = '{__name__=~".+"}'

Found = list[SeriesSamples] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Which series are wanted: those of a metric, "" for any, that have all of these labels."""

    metric: str
    labels: Mapping[str, str]
    start_ms: int
    end_ms: int
    samples_max: int

    @property
    def selector(self) -> str:
        """The series as ingest is asked for them."""
        return written(self.metric, self.labels) if self.metric or self.labels else _ALL

    @property
    def kind(self) -> tuple[object, ...]:
        """Reads of one kind differ in nothing but the values of their labels."""
        return self.metric, *sorted(self.labels), self.start_ms, self.end_ms, self.samples_max

    def holds(self, series: SeriesSamples) -> bool:
        """Whether a series is wanted."""
        labels = series.labels
        named = self.metric in ("", labels.get(METRIC_NAME, ""))
        return named and all(labels.get(name, "") == each for name, each in self.labels.items())


Ask = Callable[[str, Read], Coroutine[None, None, Found]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    read: Read
    answer: "asyncio.Future[Found]"
    context: contextvars.Context


class Batches:
    """Asks one question of a kind at a time: what comes meanwhile goes together in the next.

    So nobody waits for company, and the busier it is, the more is read by one question.
    """

    def __init__(self, ask: Ask) -> None:
        """`ask` gets a selector; None means that more series match it than are read."""
        self._ask = ask
        self._waiting_by_kind: dict[tuple[object, ...], list[_Waiting]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def samples(self, read: Read) -> Found:
        """The series of `read`; None when they are more than are read. Raises what `ask` does."""
        answer: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        new = _Waiting(read=read, answer=answer, context=contextvars.copy_context())
        if (waiting := self._waiting_by_kind.get(read.kind)) is not None:
            waiting.append(new)
        else:
            self._waiting_by_kind[read.kind] = [new]
            self._begin(read.kind)
        return await answer

    def _begin(self, kind: tuple[object, ...]) -> None:
        """Answers what waits, under the deadline of the one who came last."""
        context = self._waiting_by_kind[kind][-1].context
        task = asyncio.get_running_loop().create_task(self._work(kind), context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, kind: tuple[object, ...]) -> None:
        await asyncio.sleep(0)  # for those that ask in the same breath
        waiting = self._waiting_by_kind[kind]
        self._waiting_by_kind[kind] = waiting[_READS_MAX:]
        try:
            parts = list(_together(waiting[:_READS_MAX]))
            await asyncio.gather(*(self._answer(name, part) for name, part in parts))
        finally:
            if self._waiting_by_kind[kind]:
                self._begin(kind)
            else:
                del self._waiting_by_kind[kind]

    async def _answer(self, name: str, waiting: Sequence[_Waiting]) -> None:
        """Asks for all at once; where those are too many, for each alone."""
        first = waiting[0].read
        values = dict.fromkeys(each.read.labels.get(name, "") for each in waiting)
        try:
            if len(values) == 1:
                found = await self._ask(first.selector, first)
            else:
                selector = written_any(first.metric, first.labels, name, values)
                found = await self._ask(selector, first)
                if found is None:
                    await asyncio.gather(*(self._answer(name, [each]) for each in waiting))
        except BaseException as error:
            for each in waiting:
                if not each.answer.done():
                    each.answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for each in waiting:
            if not each.answer.done():
                mine = [series for series in found or () if each.read.holds(series)]
                each.answer.set_result(mine if len(values) > 1 else found)


def _together(waiting: Sequence[_Waiting]) -> Iterator[tuple[str, list[_Waiting]]]:
    """Those that differ in one label alone, the one with most values, in bounded parts."""
    distinct = Counter(name for name, _ in {p for w in waiting for p in w.read.labels.items()})
    name = max(sorted(distinct), key=lambda each: distinct[each], default="")
    by_rest: dict[tuple[tuple[str, str], ...], list[_Waiting]] = {}
    for each in waiting:
        rest = sorted(pair for pair in each.read.labels.items() if pair[0] != name)
        by_rest.setdefault(tuple(rest), []).append(each)
    for group in by_rest.values():
        part, chars = list[_Waiting](), 0
        for each in group:
            length = len(each.read.labels.get(name, "")) + 1
            if part and chars + length > _LISTED_CHARS_MAX:
                yield name, part
                part, chars = [], 0
            part.append(each)
            chars += length
        yield name, part
