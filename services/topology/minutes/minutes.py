"""Open minutes: what settled traces and log lines add, and when a minute is final."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

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
        self.touched = set[int]()
        """Minutes that have changed since somebody cleared this."""

    def add(self, settled: Settled, now_s: int, *, are_late: bool = False) -> None:
        """Adds traces: each call, answer and line to the minute of its own time."""
        calls = settled.calls
        roots, failed = np.zeros(len(calls), np.bool_), np.zeros(len(calls), np.bool_)
        roots[settled.roots], failed[settled.failed_roots] = True, True
        for table, which in self._by_minute(calls.ends_ns, now_s):
            table.add_calls(calls, which, roots, failed, are_late=are_late)
        for table, which in self._by_minute(settled.ends_ns, now_s):
            table.spans += len(which)
        self._note_lost(settled.ends_ns, now_s)
        if not are_late:
            for table, which in self._by_minute(settled.shapes.ends_ns, now_s):
                table.add_shapes(settled.shapes, which)
            for table, which in self._by_minute(settled.answered_ns, now_s):
                table.add_answers(settled.addresses[which], settled.answered_by[which])
            for table, which in self._by_minute(settled.first_times_ns, now_s):
                for pattern in settled.first_patterns[which].tolist():
                    table.add_first(pattern, 1)

    def add_lines(self, rows: Events, now_s: int) -> None:
        """Adds records and counts of lines: those with a pattern to it, others to their service."""
        is_count = rows["kind"] == model.LINES
        is_own = (rows["kind"] == model.RECORD) & (rows["flags"] & model.SPAN_EXCEPTION == 0)
        lines = rows.compress(is_count | is_own)
        is_count = lines["kind"] == model.LINES
        times_ns = column(lines, "start_ns").view(np.int64)
        for table, which in self._by_minute(times_ns, now_s):
            counts = np.where(is_count, lines["end_ns"], 1)
            names = ("operation", "parent", "severity")
            columns = [lines[each][which].tolist() for each in names]
            said = zip(*columns, counts[which].tolist(), strict=True)
            for operation, pattern, severity, count in said:
                table.add_lines((0 if pattern else operation, pattern, severity), count)
            table.records += int((~is_count[which]).sum())
        self._note_lost(times_ns, now_s)

    def note_lost(self, events: int, now_s: int) -> None:
        """Counts events that nobody will see, in the minute in which that was found."""
        if events:
            self._table(max(now_s // 60, self.final_before)).lost += events

    def close(self, now_s: int) -> Mapping[int, MinuteTable]:
        """Takes out the minutes that are final now, oldest first."""
        self.final_before = max(self.final_before, (now_s - self._final_after_s) // 60)
        due = sorted(minute for minute in self.open if minute < self.final_before)
        self.touched.difference_update(due)
        return {minute: self.open.pop(minute) for minute in due}

    def _by_minute(
        self, times_ns: NDArray[np.int64], now_s: int
    ) -> Iterator[tuple[MinuteTable, NDArray[np.intp]]]:
        """The table of each minute with the places of its times; those of long ago are left out.

        What belongs to a final minute goes to the first open one.
        """
        minutes = np.maximum(times_ns // MINUTE_NS, self.final_before)
        minutes[self._are_old(times_ns, now_s)] = -1
        for minute in np.unique(minutes[minutes >= 0]).tolist():
            yield self._table(minute), np.flatnonzero(minutes == minute)

    def _note_lost(self, times_ns: NDArray[np.int64], now_s: int) -> None:
        self.note_lost(int(self._are_old(times_ns, now_s).sum()), now_s)

    @staticmethod
    def _are_old(times_ns: NDArray[np.int64], now_s: int) -> NDArray[np.bool_]:
        old: NDArray[np.bool_] = times_ns // MINUTE_NS < now_s // 60 - _OLDEST_MINUTES
        return old

    def _table(self, minute: int) -> MinuteTable:
        self.touched.add(minute)
        return self.open.setdefault(minute, MinuteTable())
