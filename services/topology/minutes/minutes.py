"""Open minutes: what settled traces and log lines add, and when a minute is final."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from services.topology.minutes.table import MinuteTable
from services.topology.model import events as model
from services.topology.model.events import Events, column
from services.topology.traces.settle import Settled

MINUTE_NS: Final = 60_000_000_000
_OLDEST_MINUTES: Final = 15
"""Events of before are counted as lost, so that few minutes are open."""


class Minutes:
    """The minutes of one shard that are not final. Its clock is that of the log, in seconds."""

    def __init__(self, *, final_after_s: int = 40) -> None:
        """A minute is final so long after its end."""
        self._final_after_s = final_after_s
        self.open: dict[int, MinuteTable] = {}
        self.final_before = 0
        """Minutes, since the epoch, before this one are final."""
        self.lost = 0

    def add(self, settled: Settled, now_s: int, *, are_late: bool = False) -> None:
        """Adds the calls of traces, each to the minute in which it ended."""
        calls = settled.calls
        roots, failed = np.zeros(len(calls), np.bool_), np.zeros(len(calls), np.bool_)
        roots[settled.roots], failed[settled.failed_roots] = True, True
        minutes = self._minutes(calls.ends_ns, now_s)
        for minute in np.unique(minutes[minutes >= 0]).tolist():
            which = np.flatnonzero(minutes == minute)
            table = self._table(minute)
            table.add_calls(calls, which, roots, failed, are_late=are_late)

    def add_lines(self, rows: Events, now_s: int) -> None:
        """Adds records and counts of lines to the patterns of their minute."""
        lines = rows[(rows["kind"] >= model.RECORD) & (rows["parent"] > 0)]
        minutes = self._minutes(column(lines, "start_ns").view(np.int64), now_s)
        is_count = lines["kind"] == model.LINES
        counts = np.where(is_count, lines["end_ns"], 1)
        columns = (
            minutes,
            lines["operation"],
            lines["parent"],
            lines["severity"],
            counts,
            ~is_count,
        )
        told = zip(*(each.tolist() for each in columns), strict=True)
        for minute, operation, pattern, severity, count, is_record in told:
            if minute >= 0:
                table = self._table(minute)
                table.add_lines((operation, pattern, severity), count)
                table.records += is_record

    def close(self, now_s: int) -> Mapping[int, MinuteTable]:
        """Takes out the minutes that are final now, oldest first."""
        self.final_before = max(self.final_before, (now_s - self._final_after_s) // 60)
        due = sorted(minute for minute in self.open if minute < self.final_before)
        return {minute: self.open.pop(minute) for minute in due}

    def _minutes(self, times_ns: "np.ndarray[tuple[int], np.dtype[np.int64]]", now_s: int):  # type: ignore[no-untyped-def]
        """The minute of each time; the first open one for those that are final, -1 for old ones."""
        minutes = times_ns // MINUTE_NS
        is_old = minutes < now_s // 60 - _OLDEST_MINUTES
        self.lost += int(is_old.sum())
        return np.where(is_old, -1, np.maximum(minutes, self.final_before))

    def _table(self, minute: int) -> MinuteTable:
        return self.open.setdefault(minute, MinuteTable())
