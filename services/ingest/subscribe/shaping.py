"""From segments to deliveries: join small ones, keep what the selector wants, name new series."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, Protocol, TypeVar

import numpy as np

from mesh.selector import Selector
from services.ingest.model.event_entry import EventSegment
from services.ingest.model.log_entry import second_of
from services.ingest.model.samples import Segment, Series, Stretch
from services.ingest.store.series_cache import SeriesCache
from services.ingest.subscribe.frames import EventDelivery, SampleDelivery, ServerFrame

S = TypeVar("S", bound=Stretch)
S_contra = TypeVar("S_contra", bound=Stretch, contravariant=True)

MOST_ROWS: Final = 10_000
_SERIES_BYTES: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """A delivery, and what it costs of the credit.

    Attributes:
        delivery: Makes it for the epoch of an assignment.
    """

    rows: int
    size_bytes: int
    delivery: Callable[[int], ServerFrame]


class Shapes(Protocol, Generic[S_contra]):
    """Makes deliveries for one stream."""

    async def shape(self, segment: S_contra) -> Shaped:
        """The delivery of a segment. One without rows stays: its position still counts."""


class EventShaper:
    """Hands events on as they are."""

    async def shape(self, segment: EventSegment) -> Shaped:
        """The delivery of a segment, with all of its names."""
        return Shaped(
            rows=segment.rows,
            size_bytes=segment.size_bytes,
            delivery=lambda epoch: EventDelivery(epoch, segment),
        )


class Shaper:
    """What one stream has seen, and what it wants to see."""

    def __init__(self, series_cache: SeriesCache, selector: Selector) -> None:
        """Rows of series that `selector` does not match are left out."""
        self._series_cache = series_cache
        self._selector = selector
        self._wanted: dict[int, bool] = {}

    async def shape(self, segment: Segment) -> Shaped:
        """The wanted rows of a segment, and the series among them this stream sees first."""
        wanted, new = await self._wanted_of(segment)
        return Shaped(
            rows=wanted.rows,
            size_bytes=wanted.size_bytes + _SERIES_BYTES * len(new),
            delivery=lambda epoch: SampleDelivery(epoch, wanted, new),
        )

    async def _wanted_of(self, segment: Segment) -> tuple[Segment, list[Series]]:
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


def batches(segments: Sequence[S], most_rows: int, join: Callable[[Sequence[S]], S]) -> Iterator[S]:
    """Joins neighbours of one second up to about `most_rows` rows; a larger one stays alone."""
    waiting: list[S] = []
    rows = 0
    for segment in segments:
        full = rows + segment.rows > most_rows
        if waiting and (full or second_of(segment) != second_of(waiting[0])):
            yield join(waiting)
            waiting, rows = [], 0
        waiting.append(segment)
        rows += segment.rows
    if waiting:
        yield join(waiting)


def _kept(segment: Segment, keep: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Segment:
    if keep.all():
        return segment
    return replace(
        segment,
        series_ids=np.frombuffer(segment.series_ids, "<i8")[keep].tobytes(),
        timestamps_ms=np.frombuffer(segment.timestamps_ms, "<i8")[keep].tobytes(),
        values=np.frombuffer(segment.values, "<f8")[keep].tobytes(),
    )
