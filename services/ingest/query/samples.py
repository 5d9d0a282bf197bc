"""Answering questions about samples: the chunks for what is old, the log for what is new."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mesh.errors import Overloaded
from mesh.selector import Selector
from services.ingest.model.points import Points, grouped, merged
from services.ingest.model.samples import Series, SeriesSamples
from services.ingest.query.steps import in_steps
from services.ingest.store.samples import SampleStore
from services.ingest.store.series import SeriesStore

_SERIES_AT_ONCE: Final = 100
_SAMPLES_AT_ONCE: Final = 20_000
_NOTHING: Final = (np.empty(0, np.int64), np.empty(0, np.float64))


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleQuery:
    """What is asked: `start_ms` inclusive, `end_ms` exclusive; `newest` and `points` 0 mean all."""

    selector: Selector
    start_ms: int
    end_ms: int
    max_series: int
    newest: int = 0
    points: int = 0


class Querying:
    """Reads samples of the series that match."""

    def __init__(self, series: SeriesStore, samples: SampleStore) -> None:
        """Reads from both stores."""
        self._series = series
        self._samples = samples

    async def samples(self, query: SampleQuery) -> AsyncIterator[list[SeriesSamples]]:
        """Parts of the answer, by series, then by time; memory holds one part and the newest rows.

        Raises:
            Overloaded: TOO_MANY_SERIES.
        """
        matching = await self._matching(query)
        recent = await self._recent(query, matching)
        for start in range(0, len(matching), _SERIES_AT_ONCE):
            group = matching[start : start + _SERIES_AT_ONCE]
            ids = [each.series_id for each in group]
            older = await self._samples.compacted(ids, query.start_ms, query.end_ms)
            for part in _parts(query, group, older, recent):
                yield part

    async def _matching(self, query: SampleQuery) -> list[Series]:
        found: list[Series] = []
        async for each in self._series.matching(query.selector):
            if len(found) == query.max_series:
                message = f"more than {query.max_series} series match: narrow the selector"
                raise Overloaded(message, reason="TOO_MANY_SERIES", retry_after_s=None)
            found.append(each)
        return found

    async def _recent(self, query: SampleQuery, matching: Sequence[Series]) -> Mapping[int, Points]:
        if not matching:
            return {}
        by_shard: dict[int, list[int]] = {}
        for each in matching:
            by_shard.setdefault(each.shard, []).append(each.series_id)
        rows = await self._samples.recent(by_shard, query.start_ms, query.end_ms)
        return {
            series_id: (rows.timestamps_ms[part], rows.values[part])
            for series_id, part in grouped(rows.series_ids)
        }


def _parts(
    query: SampleQuery,
    group: Sequence[Series],
    older: Mapping[int, Points],
    recent: Mapping[int, Points],
) -> list[list[SeriesSamples]]:
    parts: list[list[SeriesSamples]] = [[]]
    room = _SAMPLES_AT_ONCE
    for series in group:
        old = older.get(series.series_id, _NOTHING)
        points = _points(query, old, recent.get(series.series_id, _NOTHING))
        for piece in _pieces(query, series, points, room):
            parts[-1].append(piece)
            room -= len(piece.values)
            if room <= 0:
                parts.append([])
                room = _SAMPLES_AT_ONCE
    return [part for part in parts if part]


def _pieces(
    query: SampleQuery, series: Series, points: Points, room: int
) -> Iterator[SeriesSamples]:
    """The first piece fits into `room`, the others are whole answers."""
    times, values = points
    if query.points and len(times) > query.points:
        yield _joined(query, series, points)
        return
    while len(times):
        yield SeriesSamples(series=series, timestamps_ms=times[:room], values=values[:room])
        times, values, room = times[room:], values[room:], _SAMPLES_AT_ONCE


def _joined(query: SampleQuery, series: Series, points: Points) -> SeriesSamples:
    steps = in_steps(points, query.start_ms, query.end_ms, query.points)
    return SeriesSamples(
        series=series,
        timestamps_ms=steps.timestamps_ms,
        values=steps.means,
        minimums=steps.minimums,
        maximums=steps.maximums,
    )


def _points(query: SampleQuery, old: Points, new: Points) -> Points:
    times, values = merged(np.concatenate([old[0], new[0]]), np.concatenate([old[1], new[1]]))
    start, end = np.searchsorted(times, (query.start_ms, query.end_ms))
    if query.newest:
        start = max(start, end - query.newest)
    return times[start:end], values[start:end]
