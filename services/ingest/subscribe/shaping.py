"""From segments to deliveries: join small ones, keep what the selector wants, name new series."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from mesh.selector import Selector
from services.ingest.model.log_entry import joined, second_of
from services.ingest.model.samples import Segment, Series
from services.ingest.store.series_cache import SeriesCache

MOST_ROWS: Final = 10_000


class Shaper:
    """What one stream has seen, and what it wants to see."""

    def __init__(self, series_cache: SeriesCache, selector: Selector) -> None:
        """Rows of series that `selector` does not match are left out."""
        self._series_cache = series_cache
        self._selector = selector
        self._wanted: dict[int, bool] = {}

    async def shape(self, segment: Segment) -> tuple[Segment, list[Series]]:
        """The wanted rows of a segment, and the series among them this stream sees first.

        A segment without wanted rows stays, empty: its position still counts.
        """
        ids = np.frombuffer(segment.series_ids, "<i8")
        distinct, places = np.unique(ids, return_inverse=True)
        new = await self._learn([each for each in distinct.tolist() if each not in self._wanted])
        if not self._selector.matchers:
            return segment, new
        wanted = np.array([self._wanted[each] for each in distinct.tolist()], np.bool_)
        return _kept(segment, wanted[places]), new

    async def _learn(self, unknown: Sequence[int]) -> list[Series]:
        if not unknown:
            return []
        series = await self._series_cache.series(unknown)
        for each in series:
            self._wanted[each.series_id] = self._selector.matches(dict(each.labels))
        return [each for each in series if self._wanted[each.series_id]]


def batches(segments: Sequence[Segment], most_rows: int) -> Iterator[Segment]:
    """Joins neighbours of one second up to about `most_rows` rows; a larger one stays alone."""
    waiting: list[Segment] = []
    rows = 0
    for segment in segments:
        full = rows + segment.rows > most_rows
        if waiting and (full or second_of(segment) != second_of(waiting[0])):
            yield joined(waiting)
            waiting, rows = [], 0
        waiting.append(segment)
        rows += segment.rows
    if waiting:
        yield joined(waiting)


def _kept(segment: Segment, keep: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Segment:
    if keep.all():
        return segment
    return replace(
        segment,
        series_ids=np.frombuffer(segment.series_ids, "<i8")[keep].tobytes(),
        timestamps_ms=np.frombuffer(segment.timestamps_ms, "<i8")[keep].tobytes(),
        values=np.frombuffer(segment.values, "<f8")[keep].tobytes(),
    )
