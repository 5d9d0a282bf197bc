"""Reads of like series that wait at the same moment, asked of ingest as one."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mesh.selector import METRIC_NAME, written, written_any
from services.explainer.batching import Batcher
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


class Batches:
    """Asks one question of a kind at a time: what comes meanwhile goes together in the next."""

    def __init__(self, ask: Ask) -> None:
        """`ask` gets a selector; None means that more series match it than are read."""
        self._ask = ask
        self._by_kind: dict[tuple[object, ...], Batcher[Read, Found]] = {}

    async def samples(self, read: Read) -> Found:
        """The series of `read`; None when they are more than are read. Raises what `ask` does."""
        together = self._by_kind.get(read.kind)
        if together is None:
            together = self._by_kind[read.kind] = Batcher(self._answers, most=_READS_MAX)
        try:
            return await together.do(read)
        finally:
            if together.is_idle and self._by_kind.get(read.kind) is together:
                del self._by_kind[read.kind]

    async def _answers(self, reads: Sequence[Read]) -> list[Found | Exception]:
        """What each gets; reads that differ in one label alone are one question."""
        found: list[Found | Exception] = [None] * len(reads)

        async def answer(name: str, places: Sequence[int]) -> None:
            wanted = [reads[place] for place in places]
            answers: Sequence[Found | Exception]
            try:
                answers = await self._answer(name, wanted)
            except Exception as error:
                answers = [error] * len(wanted)
            for place, each in zip(places, answers, strict=True):
                found[place] = each

        await asyncio.gather(*(answer(name, places) for name, places in _together(reads)))
        return found

    async def _answer(self, name: str, reads: Sequence[Read]) -> Sequence[Found]:
        """Asks for all at once; where those are too many, for each alone."""
        first = reads[0]
        values = dict.fromkeys(each.labels.get(name, "") for each in reads)
        if len(values) == 1:
            return [await self._ask(first.selector, first)] * len(reads)
        selector = written_any(first.metric, first.labels, name, values)
        found = await self._ask(selector, first)
        if found is not None:
            return [[series for series in found if each.holds(series)] for each in reads]
        return await asyncio.gather(*(self._ask(each.selector, each) for each in reads))


def _together(reads: Sequence[Read]) -> Iterator[tuple[str, list[int]]]:
    """Places of those that differ in one label, the one with most values, in bounded parts."""
    distinct = Counter(name for name, _ in {pair for r in reads for pair in r.labels.items()})
    name = max(sorted(distinct), key=lambda each: distinct[each], default="")
    by_rest: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for place, each in enumerate(reads):
        rest = sorted(pair for pair in each.labels.items() if pair[0] != name)
        by_rest.setdefault(tuple(rest), []).append(place)
    for group in by_rest.values():
        part, chars = list[int](), 0
        for place in group:
            length = len(reads[place].labels.get(name, "")) + 1
            if part and chars + length > _LISTED_CHARS_MAX:
                yield name, part
                part, chars = [], 0
            part.append(place)
            chars += length
        yield name, part
