"""Stored series."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mesh.postgres import guard
from mesh.selector import Selector
from services.ingest.model.labels import SeriesKey, shard_of
from services.ingest.model.samples import Series

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.ingest.store.transaction import Connection

_BY_IDS = "SELECT series_id, shard, labels FROM ingest.series WHERE series_id = ANY($1)"
_BY_DIGESTS = """
SELECT labels_hash, series_id, shard FROM ingest.series WHERE labels_hash = ANY($1)
"""
_INSERT = """
INSERT INTO ingest.series (labels_hash, labels, shard)
SELECT * FROM unnest($1::bytea[], $2::jsonb[], $3::smallint[])
RETURNING labels_hash, series_id, shard
"""
_LIST = """
SELECT series_id, shard, labels FROM ingest.series
WHERE series_id > $1 AND labels @> $2
ORDER BY series_id LIMIT $3
"""
# A question of its own for each set, so that each is looked up in the index.
_LIST_ANY = """
SELECT series_id, shard, labels FROM ingest.series WHERE series_id = ANY(ARRAY(
    SELECT found.series_id FROM unnest($2::jsonb[]) AS wanted, LATERAL (
        SELECT series_id FROM ingest.series WHERE series_id > $1 AND labels @> wanted
        ORDER BY series_id LIMIT $3) AS found))
ORDER BY series_id LIMIT $3
"""
_PAGE_ROWS = 1000
_AT_ONCE = 500


class SeriesStore:
    """Reads series. They are written by the log, in the transaction of their first sample."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def by_ids(self, series_ids: Sequence[int]) -> list[Series]:
        """The series of these numbers, in any order."""
        with guard("series_by_ids"):
            return [_series(row) for row in await self._pool.fetch(_BY_IDS, series_ids)]

    async def matching(self, selector: Selector, after_id: int = 0) -> AsyncIterator[Series]:
        """Series that match, ascending by number from above `after_id`."""
        wanted = selector.alternatives()
        question, sets = (_LIST, wanted[0]) if len(wanted) == 1 else (_LIST_ANY, wanted)
        while True:
            with guard("series_matching"):
                rows = await self._pool.fetch(question, after_id, sets, _PAGE_ROWS)
            for row in rows:
                if selector.matches(row["labels"]):
                    yield _series(row)
            if len(rows) < _PAGE_ROWS:
                return
            after_id = rows[-1]["series_id"]


async def registered(
    connection: "Connection", keys: Mapping[bytes, SeriesKey], room: int, shard_count: int
) -> tuple[dict[bytes, tuple[int, int]], int]:
    """Finds or makes the series of `keys`, at most `room` new ones.

    The caller holds the lock of the log.

    Returns:
        Digest to series_id and shard, without those there was no room for; how many are new.
    """
    known, made = dict[bytes, tuple[int, int]](), 0
    all_keys = list(keys.values())
    for start in range(0, len(all_keys), _AT_ONCE):  # one statement of all would hold the loop
        part = all_keys[start : start + _AT_ONCE]
        rows = await connection.fetch(_BY_DIGESTS, [key.digest for key in part])
        known |= {row["labels_hash"]: (row["series_id"], row["shard"]) for row in rows}
        new = [key for key in part if key.digest not in known][: max(0, room - made)]
        if not new:
            continue
        rows = await connection.fetch(
            _INSERT,
            [key.digest for key in new],
            [dict(key.labels) for key in new],
            [shard_of(key.digest, shard_count) for key in new],
        )
        known |= {row["labels_hash"]: (row["series_id"], row["shard"]) for row in rows}
        made += len(new)
    return known, made


def _series(row: Any) -> Series:
    labels = tuple(sorted(row["labels"].items()))
    return Series(series_id=row["series_id"], shard=row["shard"], labels=labels)
