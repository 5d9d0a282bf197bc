"""What is committed of a shard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.topology.model.names import Example


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where a shard stands.

    Attributes:
        second: The clock of the log.
        pending: Of traces that are not settled; empty at the begin.
        open_minutes: What was counted in minutes that are not final.
    """

    shard: int
    epoch: int
    cursor: int
    second: int
    final_before: int
    pending: bytes
    open_minutes: Mapping[int, bytes]


@dataclass(slots=True)
class PatternLines:
    """Lines of a pattern since the last checkpoint."""

    severity: int
    lines: int
    first_ms: int
    last_ms: int

    def add(self, other: "PatternLines") -> None:
        """Takes those of another too."""
        self.severity = max(self.severity, other.severity)
        self.lines += other.lines
        self.first_ms = min(self.first_ms, other.first_ms)
        self.last_ms = max(self.last_ms, other.last_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """All that one checkpoint moves from `from_cursor` on."""

    shard: int
    epoch: int
    from_cursor: int
    to_cursor: int
    second: int
    final_before: int
    pending: bytes
    final_minutes: Mapping[int, bytes]
    open_minutes: Mapping[int, bytes]
    patterns: Mapping[int, PatternLines]
    examples: Sequence[Example]
