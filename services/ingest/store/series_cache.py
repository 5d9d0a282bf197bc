"""Series that this process has seen lately, by identity and by number."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from services.ingest.model.samples import Series
from services.ingest.model.series_table import SeriesTable
from services.ingest.store.series import SeriesStore


class SeriesCache:
    """A bounded cache over the stored series. Only committed series may be put in."""

    def __init__(self, store: SeriesStore, *, max_entries: int = 200_000) -> None:
        """Keeps at most `max_entries` of each kind; the oldest go first."""
        self._store = store
        self._max_entries = max_entries
        self._by_digest: dict[bytes, tuple[int, int]] = {}
        self._by_id: dict[int, Series] = {}

    def fill(self, table: SeriesTable, slots: Sequence[int]) -> None:
        """Resolves the slots it can."""
        identities = map(self._by_digest.get, table.digests(slots))
        table.resolve((slot, *each) for slot, each in zip(slots, identities, strict=True) if each)

    def add(self, known: Mapping[bytes, tuple[int, int]]) -> None:
        """Takes committed identities: digest to series_id and shard."""
        self._by_digest.update(known)
        _shrink(self._by_digest, self._max_entries)

    async def series(self, series_ids: Iterable[int]) -> list[Series]:
        """The series of these numbers, in any order; unknown numbers are left out."""
        wanted = set(series_ids)
        missing = wanted - self._by_id.keys()
        found = {each: self._by_id[each] for each in wanted - missing}
        if missing:
            loaded = {each.series_id: each for each in await self._store.by_ids(list(missing))}
            self._by_id.update(loaded)
            _shrink(self._by_id, self._max_entries)
            found |= loaded
        return list(found.values())


def _shrink(entries: dict[bytes, tuple[int, int]] | dict[int, Series], most: int) -> None:
    for oldest in [*islice(entries, max(0, len(entries) - most))]:
        del entries[oldest]  # type: ignore[arg-type]
