"""Answering which requests stand as examples of some series."""

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.errors import Overloaded
from mesh.selector import Selector
from services.ingest.model.exemplars import Exemplar, family_of
from services.ingest.model.samples import Series
from services.ingest.store.exemplars import ExemplarStore
from services.ingest.store.series import SeriesStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ExemplarQuery:
    """What is asked: `start_ms` inclusive, `end_ms` exclusive."""

    selector: Selector
    start_ms: int
    end_ms: int
    max_series: int


@dataclass(frozen=True, slots=True)
class SeriesExemplars:
    """The exemplars of one series, oldest first."""

    series: Series
    exemplars: Sequence[Exemplar]


class ExemplarQuerying:
    """Reads exemplars of the series that match."""

    def __init__(self, series: SeriesStore, exemplars: ExemplarStore) -> None:
        """Reads from both stores."""
        self._series = series
        self._exemplars = exemplars

    async def exemplars(self, query: ExemplarQuery) -> list[SeriesExemplars]:
        """Of each series that has any, by series.

        Raises:
            Overloaded: TOO_MANY_SERIES.
        """
        family_by_series: dict[Series, bytes] = {}
        async for each in self._series.matching(query.selector):
            if len(family_by_series) == query.max_series:
                message = f"more than {query.max_series} series match: narrow the selector"
                raise Overloaded(message, reason="TOO_MANY_SERIES", retry_after_s=None)
            family_by_series[each] = family_of(each.labels)
        families = [*{*family_by_series.values()}]
        found: dict[bytes, list[Exemplar]] = {}
        for kept in await self._exemplars.of_families(families, query.start_ms, query.end_ms):
            found.setdefault(kept.family, []).append(kept)
        return [
            SeriesExemplars(series, found[family])
            for series, family in family_by_series.items()
            if family in found
        ]
