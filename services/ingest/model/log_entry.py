"""How rows lie in the log: sorted by shard, each shard chained to its place before. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.positions import Positions
from services.ingest.model.samples import Float64s, Heads, Int64s, Segment, Stretch

S = TypeVar("S", bound=Stretch)

_INT64: Final = np.dtype("<i8")
_FLOAT64: Final = np.dtype("<f8")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One batch as it is stored. The sequences are parallel: one item per shard inside."""

    offset: int
    received_at_ms: int
    producer_id: str
    sequence: int
    sample_count: int
    min_time_ms: int
    max_time_ms: int
    shards: Sequence[int]
    row_ends: Sequence[int]
    previous: Sequence[int]
    totals: Sequence[int]
    series_ids: bytes
    timestamps_ms: bytes
    values: bytes
    traceparent: str

    def segments(self) -> Iterable[Segment]:
        """The rows of each shard on their own."""
        start = 0
        for place, end in enumerate(self.row_ends):
            part = slice(8 * start, 8 * end)
            yield Segment(
                shard=self.shards[place],
                previous=self.previous[place],
                offset=self.offset,
                total=self.totals[place],
                commit_time_ms=self.received_at_ms,
                series_ids=self.series_ids[part],
                timestamps_ms=self.timestamps_ms[part],
                values=self.values[part],
                traceparents=(self.traceparent,) if self.traceparent else (),
            )
            start = end


class Writer:
    """Makes entries for a run of batches, from the heads as they were locked."""

    def __init__(self, heads: Heads, received_at_ms: int) -> None:
        """Continues after `heads`."""
        self._received_at_ms = received_at_ms
        self.positions = Positions(heads)

    def entry(
        self,
        producer_id: str,
        sequence: int,
        series_ids: Int64s,
        shards: NDArray[np.int16],
        timestamps_ms: Int64s,
        values: Float64s,
        traceparent: str,
    ) -> LogEntry:
        """The next entry, of at least one row. Rows of a shard keep their order."""
        placed = self.positions.place(shards)
        order = placed.order
        return LogEntry(
            offset=placed.offset,
            received_at_ms=self._received_at_ms,
            producer_id=producer_id,
            sequence=sequence,
            sample_count=len(values),
            min_time_ms=int(timestamps_ms.min()),
            max_time_ms=int(timestamps_ms.max()),
            shards=placed.shards,
            row_ends=placed.row_ends,
            previous=placed.previous,
            totals=placed.totals,
            series_ids=series_ids[order].astype(_INT64, copy=False).tobytes(),
            timestamps_ms=timestamps_ms[order].astype(_INT64, copy=False).tobytes(),
            values=values[order].astype(_FLOAT64, copy=False).tobytes(),
            traceparent=traceparent,
        )


def second_of(segment: Stretch) -> int:
    """In which second it was committed: only what shares one is joined, so that times stay true."""
    return segment.commit_time_ms // 1000


def joined(segments: Sequence[Segment]) -> Segment:
    """Consecutive segments of one shard as one."""
    first, last = segments[0], segments[-1]
    if first is last:
        return first
    return Segment(
        shard=last.shard,
        previous=first.previous,
        offset=last.offset,
        total=last.total,
        commit_time_ms=last.commit_time_ms,
        series_ids=b"".join(each.series_ids for each in segments),
        timestamps_ms=b"".join(each.timestamps_ms for each in segments),
        values=b"".join(each.values for each in segments),
        traceparents=tuple(dict.fromkeys(t for each in segments for t in each.traceparents)),
    )


def by_shard(segments: Iterable[S], join: Callable[[Sequence[S]], S]) -> list[S]:
    """One segment per shard and second out of those of consecutive entries."""
    found: dict[int, list[S]] = {}
    for segment in segments:
        found.setdefault(segment.shard, []).append(segment)
    return [
        join(list(together))
        for of_shard in found.values()
        for _, together in groupby(of_shard, key=second_of)
    ]
