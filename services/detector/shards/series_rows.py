"""Which row of the engine a series has: rows are given in the order series appear in the log."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from services.detector.model.checkpoints import NewSeries, StoredSeries
from services.detector.model.samples import Labels

I64 = npt.NDArray[np.int64]


class SeriesRows:
    """Series of one shard by row. Cost of a lookup: O(log series) per sample, vectorised."""

    def __init__(self, stored: Sequence[StoredSeries]) -> None:
        """Takes the stored series in the order of their rows."""
        self._ids = [each.series_id for each in stored]
        self._numbers = [each.row_number for each in stored]
        self._labels: list[Labels] = [each.labels for each in stored]
        self._sort()

    def __len__(self) -> int:
        return len(self._ids)

    def unknown(self, series_ids: I64) -> list[int]:
        """The ids that have no row yet, in the order of their first appearance."""
        _, found = self._look_up(series_ids)
        if found.all():
            return []
        missing, first = np.unique(series_ids[~found], return_index=True)
        return [int(each) for each in missing[np.argsort(first)]]

    def known(self, series_ids: I64) -> I64:
        """Those of the ids that have a row."""
        return series_ids[self._look_up(series_ids)[1]]

    def add(self, series_ids: Sequence[int], labels_by_id: Mapping[int, Labels]) -> None:
        """Gives the next rows to these series.

        Raises:
            LookupError: The labels of one are not known; none was added.
        """
        labels = [_labels_of(series_id, labels_by_id) for series_id in series_ids]
        first = max(self._numbers[-1:], default=-1) + 1
        self._numbers.extend(range(first, first + len(series_ids)))
        self._ids.extend(series_ids)
        self._labels.extend(labels)
        self._sort()

    def rows_of(self, series_ids: I64) -> npt.NDArray[np.int32]:
        """The row of each of these known series."""
        places, _ = self._look_up(series_ids)
        return np.asarray(self._row_at[places], dtype=np.int32)

    def labels_of(self, series_id: int) -> Labels:
        """The labels of a known series."""
        return self._labels[int(self.rows_of(np.array([series_id]))[0])]

    def labels_from(self, row: int) -> Sequence[Labels]:
        """The labels of the series in this row and after."""
        return self._labels[row:]

    def ids_of(self, rows: npt.NDArray[np.int32]) -> list[int]:
        """The ids of the series in these rows."""
        return [self._ids[row] for row in rows.tolist()]

    def numbers_of(self, rows: npt.NDArray[np.int32]) -> list[int]:
        """The numbers under which these rows are stored: in their order, with holes."""
        return [self._numbers[row] for row in rows.tolist()]

    def added_since(self, count: int) -> list[NewSeries]:
        """The series in row `count` and after."""
        return [
            NewSeries(
                row_number=self._numbers[row], series_id=self._ids[row], labels=self._labels[row]
            )
            for row in range(count, len(self._ids))
        ]

    def _sort(self) -> None:
        ids = np.array(self._ids, dtype=np.int64)
        self._row_at = np.argsort(ids, kind="stable")
        self._sorted_ids = ids[self._row_at]

    def _look_up(self, series_ids: I64) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        if not self._ids:
            return np.zeros(len(series_ids), np.intp), np.zeros(len(series_ids), np.bool_)
        places = np.searchsorted(self._sorted_ids, series_ids)
        places[places == len(self._ids)] = 0
        return places, self._sorted_ids[places] == series_ids


def _labels_of(series_id: int, labels_by_id: Mapping[int, Labels]) -> Labels:
    labels = labels_by_id.get(series_id)
    if labels is None:
        raise LookupError(f"series {series_id} was delivered without its labels")
    return labels
