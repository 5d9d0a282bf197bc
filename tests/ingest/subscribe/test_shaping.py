"""Small segments are joined, as long as the time of their commit stays true."""

from services.ingest.model import log_entry
from services.ingest.model.samples import Segment
from services.ingest.subscribe.shaping import batches


def segment(offset: int, commit_ms: int, rows: int = 1) -> Segment:
    return Segment(
        shard=0,
        previous=offset - 1,
        offset=offset,
        total=offset,
        commit_time_ms=commit_ms,
        series_ids=bytes(8 * rows),
        timestamps_ms=bytes(8 * rows),
        values=bytes(8 * rows),
        traceparents=(f"{offset}",),
    )


def joined(*segments: Segment, most_rows: int = 100) -> list[tuple[int, int, int]]:
    """Of each batch its rows, its commit time and its place."""
    found = batches(segments, most_rows, log_entry.joined)
    return [(each.rows, each.commit_time_ms, each.offset) for each in found]


def test_neighbours_of_one_second_are_joined() -> None:
    found = joined(segment(1, 5_000), segment(2, 5_400), segment(3, 5_999), segment(4, 6_000))
    assert found == [(3, 5_999, 3), (1, 6_000, 4)]


def test_a_batch_is_no_larger_than_asked() -> None:
    found = joined(*(segment(n, 5_000, rows=4) for n in range(1, 5)), most_rows=8)
    assert [rows for rows, _, _ in found] == [8, 8]


def test_a_larger_segment_stays_alone() -> None:
    found = joined(segment(1, 5_000, rows=9), segment(2, 5_000), most_rows=8)
    assert [rows for rows, _, _ in found] == [9, 1]
