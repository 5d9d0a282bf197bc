"""What one shard's events add up to. Decides by the clock of the log alone."""

from dataclasses import replace
from typing import Final

import msgspec
import numpy as np

from services.topology.minutes.minutes import Minutes
from services.topology.minutes.packing import packed, unpacked
from services.topology.minutes.table import MinuteTable
from services.topology.model import events as model
from services.topology.model.checkpoints import Changes, Checkpoint, PatternLines
from services.topology.model.deliveries import Delivery
from services.topology.model.events import Events
from services.topology.model.names import Example
from services.topology.traces.pending import Pending
from services.topology.traces.settle import settle

_MS: Final = 1_000_000


class ShardCounter:
    """One shard from its last checkpoint on. Runs outside the event loop."""

    def __init__(self, checkpoint: Checkpoint, *, settle_s: int, longest_s: int) -> None:
        """Goes on where `checkpoint` stands."""
        self.cursor = checkpoint.cursor
        self.second = checkpoint.second
        self._from = checkpoint
        self._pending = Pending(quiet_s=settle_s, longest_s=longest_s)
        if checkpoint.pending:
            self._pending.restore(msgspec.msgpack.decode(checkpoint.pending, strict=False))
        self._minutes = Minutes()
        self._minutes.final_before = checkpoint.final_before
        for minute, content in checkpoint.open_minutes.items():
            self._minutes.open[minute] = unpacked(content)
        self._final: dict[int, MinuteTable] = {}
        self._patterns: dict[int, PatternLines] = {}
        self._examples: list[Example] = []

    @property
    def is_dirty(self) -> bool:
        """Whether anything came since the last checkpoint."""
        return self.cursor != self._from.cursor

    @property
    def waiting(self) -> int:
        """Events of traces that are not settled."""
        return len(self._pending)

    def take(self, delivery: Delivery) -> None:
        """Counts a delivery that follows the one before."""
        second = max(delivery.commit_s, self.second)
        if second > self.second:
            self._go_to(second)
        self._pending.add(delivery.events, second)
        self._minutes.add_lines(delivery.events, second)
        self._add_patterns(delivery.events)
        self._examples.extend(delivery.examples)
        self.cursor = delivery.cursor

    def skip_to(self, cursor: int) -> None:
        """Goes on after a gap: how many events were in it nobody knows, at least one.

        Of what was dropped before the first event was ever counted nothing is said.
        """
        if self.second:
            self._minutes.note_lost(max(1, cursor - self.cursor), self.second)
        self.cursor = cursor

    def changes(self) -> Changes:
        """What is to be committed now."""
        open_minutes = {
            minute: packed(self._minutes.open[minute])
            for minute in sorted(self._minutes.touched)
            if minute in self._minutes.open
        }
        return Changes(
            shard=self._from.shard,
            epoch=self._from.epoch,
            from_cursor=self._from.cursor,
            to_cursor=self.cursor,
            second=self.second,
            final_before=self._minutes.final_before,
            pending=msgspec.msgpack.encode(self._pending.state()),
            final_minutes={minute: packed(table) for minute, table in self._final.items()},
            open_minutes=open_minutes,
            patterns=self._patterns,
            examples=self._examples,
        )

    def committed(self, changes: Changes) -> None:
        """`changes` are stored."""
        self._from = replace(self._from, cursor=changes.to_cursor)
        self._minutes.touched.clear()
        self._final, self._patterns, self._examples = {}, {}, []

    def _go_to(self, second: int) -> None:
        self.second = second
        settled, late = self._pending.settle(second)
        for rows, are_late in ((settled, False), (late, True)):
            if len(rows):
                self._minutes.add(settle(rows), second, are_late=are_late)
        self._final.update(self._minutes.close(second))

    def _add_patterns(self, events: Events) -> None:
        records = events[(events["kind"] == model.RECORD) & (events["parent"] > 0)]
        patterns, places = np.unique(records["parent"], return_inverse=True)
        for place, pattern in enumerate(patterns.tolist()):
            lines = records[places == place]
            times = lines["start_ns"]
            more = PatternLines(
                severity=int(lines["severity"].max()),
                lines=len(lines),
                first_ms=int(times.min()) // _MS,
                last_ms=int(times.max()) // _MS,
            )
            if pattern in self._patterns:
                self._patterns[pattern].add(more)
            else:
                self._patterns[pattern] = more
