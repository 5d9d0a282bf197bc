"""Which rows of a batch can be stored. Whole columns at once; no clock, no I/O."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.config import Limits
from services.ingest.model.samples import Int32s, Int64s
from services.ingest.model.series_table import REFUSED, UNKNOWN_SLOT, SeriesTable
from services.ingest.model.writes import Refusal, SampleReason

_REASONS: Final = (
    SampleReason.UNKNOWN_SERIES,
    SampleReason.INVALID_LABELS,
    SampleReason.TOO_FAR_IN_FUTURE,
    SampleReason.TOO_OLD,
)
_MESSAGES: Final = {
    SampleReason.UNKNOWN_SERIES: "the ref has no definition: send `series` before the batch",
    SampleReason.TOO_FAR_IN_FUTURE: "the time is too far ahead: set the sender's clock",
    SampleReason.TOO_OLD: "the time is before 1970 or older than the retention",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check: good rows ascending, refusals ascending and capped."""

    good: NDArray[np.intp]
    rejected: int
    refusals: list[Refusal]


def check_rows(
    table: SeriesTable, slots: Int32s, timestamps_ms: Int64s, now_ms: int, limits: Limits
) -> Checked:
    """Judges each row by its series and its time. The first reason that applies is given."""
    unknown = slots == UNKNOWN_SLOT
    broken = ~unknown & (table.ids[slots] == REFUSED)
    future = timestamps_ms > now_ms + limits.future_ms
    oldest_ms = max(0, now_ms - limits.retention_ms)
    codes = np.select([unknown, broken, future, timestamps_ms < oldest_ms], [1, 2, 3, 4], 0)
    bad = np.flatnonzero(codes)
    refusals = [
        _refusal(int(row), _REASONS[codes[row] - 1], table, int(slots[row]))
        for row in bad[: limits.max_errors]
    ]
    return Checked(np.flatnonzero(codes == 0), len(bad), refusals)


def _refusal(row: int, reason: SampleReason, table: SeriesTable, slot: int) -> Refusal:
    if reason is SampleReason.INVALID_LABELS:
        return Refusal(row, reason, table.refusal(slot))
    return Refusal(row, reason, _MESSAGES[reason])
