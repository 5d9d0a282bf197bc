"""Which rows of a batch can be stored. Whole columns at once; no clock, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.ingest.config import Limits
from services.ingest.model.samples import Int32s, Int64s
from services.ingest.model.series_table import REFUSED, UNKNOWN_SLOT, SeriesTable
from services.ingest.model.writes import Refusal, SampleReason

T = TypeVar("T", bound=np.generic)

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
class CheckResult:
    """The outcome of a check: good and bad rows ascending, refusals of the first bad ones.

    Attributes:
        reasons: How many were refused for which reason.
    """

    good: Int64s
    bad: NDArray[np.intp]
    refusals: list[Refusal]
    reasons: Mapping[SampleReason, int]

    def kept(self, column: "NDArray[T]") -> "NDArray[T]":
        """The good rows of a column of the batch; the column itself when all are."""
        return column[self.good] if len(self.bad) else column


def check_rows(
    table: SeriesTable, slots: Int32s, timestamps_ms: Int64s, now_ms: int, limits: Limits
) -> CheckResult:
    """Judges each row by its series and its time. The first reason that applies is given."""
    newest_ms, oldest_ms = now_ms + limits.future_ms, max(0, now_ms - limits.retention_ms)
    ids = table.ids[slots]  # slot -1 is the last one, so unknown slots are told apart below
    if (
        timestamps_ms.max() <= newest_ms
        and timestamps_ms.min() >= oldest_ms
        and slots.min() != UNKNOWN_SLOT
        and ids.min() != REFUSED
    ):
        return CheckResult(np.arange(len(slots)), np.empty(0, np.intp), [], {})
    unknown = slots == UNKNOWN_SLOT
    broken = ~unknown & (ids == REFUSED)
    future = timestamps_ms > newest_ms
    codes = np.zeros(len(slots), np.uint8)
    for code, applies in enumerate((unknown, broken, future, timestamps_ms < oldest_ms), 1):
        codes[applies & (codes == 0)] = code
    bad = np.flatnonzero(codes)
    refusals = [
        _refusal(int(row), _REASONS[codes[row] - 1], table, int(slots[row]))
        for row in bad[: limits.max_errors]
    ]
    counts = np.bincount(codes[bad], minlength=len(_REASONS) + 1)[1:].tolist()
    reasons = {reason: count for reason, count in zip(_REASONS, counts, strict=True) if count}
    return CheckResult(np.flatnonzero(codes == 0), bad, refusals, reasons)


def _refusal(row: int, reason: SampleReason, table: SeriesTable, slot: int) -> Refusal:
    if reason is SampleReason.INVALID_LABELS:
        return Refusal(row, reason, table.refusal(slot))
    return Refusal(row, reason, _MESSAGES[reason])
