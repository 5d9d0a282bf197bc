"""What was counted in one minute: edges, where errors began, patterns of lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.topology.minutes.sketch import CELLS, cells_of
from services.topology.traces.settle import Calls

EdgeKey = tuple[int, int, int, int, int]
"""Caller, operation, peer, kind, connection; see `Calls`."""
OriginKey = tuple[int, int, int, int]
"""Operation, peer, reason, detail; see `Calls`."""
PatternKey = tuple[int, int, int]
"""Operation of the service as such, pattern, severity of OTLP."""

COUNTS: Final = (
    "spans",
    "weight",
    "errors",
    "origins",
    "late",
    "orphans",
    "roots",
    "failed",
    "duration_ns",
    "own_ns",
    "wait_ns",
)
"""Columns of numbers, all of them sums; `weight` in 1024ths of a request."""
SKETCHES: Final = ("durations", "own_times", "waits")
WEIGHT_UNIT: Final = 1024
_ROOM: Final = 64


@dataclass(slots=True)
class Edges:
    """Edges with their sums and sketches, one row each."""

    rows: dict[EdgeKey, int] = field(default_factory=dict)
    counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((_ROOM, len(COUNTS)), np.int64)
    )
    sketches: NDArray[np.int32] = field(
        default_factory=lambda: np.zeros((_ROOM, len(SKETCHES), CELLS), np.int32)
    )

    def __len__(self) -> int:
        """How many there are."""
        return len(self.rows)

    def places(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The row of each key, which is made where it is new."""
        order = np.lexsort(keys.T)
        ordered = keys[order]
        begins = np.ones(len(keys), np.bool_)
        begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
        numbers = np.cumsum(begins) - 1
        distinct: list[list[int]] = ordered[begins].tolist()
        found = [self.rows.setdefault(_edge(key), len(self.rows)) for key in distinct]
        self._grow()
        places = np.empty(len(keys), np.int64)
        places[order] = np.array(found, np.int64)[numbers]
        return places

    def named(self) -> Mapping[EdgeKey, tuple[NDArray[np.int64], NDArray[np.int32]]]:
        """Sums and sketches by edge, in the order of the keys."""
        return {
            key: (self.counts[row], self.sketches[row]) for key, row in sorted(self.rows.items())
        }

    def _grow(self) -> None:
        while len(self.rows) > len(self.counts):
            self.counts = np.concatenate([self.counts, np.zeros_like(self.counts)])
            self.sketches = np.concatenate([self.sketches, np.zeros_like(self.sketches)])


@dataclass(slots=True)
class MinuteTable:
    """All that was counted in one minute. Sums of integers: the order of calls does not matter."""

    edges: Edges = field(default_factory=Edges)
    origins: dict[OriginKey, int] = field(default_factory=dict)
    patterns: dict[PatternKey, int] = field(default_factory=dict)
    records: int = 0

    def add_calls(
        self,
        calls: Calls,
        which: NDArray[np.intp],
        roots: NDArray[np.bool_],
        failed: NDArray[np.bool_],
        *,
        are_late: bool,
    ) -> None:
        """Adds some calls.

        Args:
            calls: Of which those at `which` are added.
            which: Their places.
            roots: Of all calls, whether each began a trace.
            failed: Of all, whether the trace that it began has failed.
            are_late: Whether they came after their trace was settled; then no error began there.
        """
        keys = np.empty((len(which), 5), np.uint64)
        columns: Sequence[NDArray[Any]] = (
            calls.callers,
            calls.operations,
            calls.peers,
            calls.kinds,
            calls.connections,
        )
        for place, each in enumerate(columns):
            keys[:, place] = each[which]
        places = self.edges.places(keys)
        begins = calls.is_origin[which] & (not are_late)
        late = np.full(len(which), are_late)
        weights = np.rint(calls.weights[which] * WEIGHT_UNIT).astype(np.int64)
        waits = calls.waits_ns[which]
        sums = (
            np.ones(len(which), np.int64),
            weights,
            calls.is_error[which],
            begins,
            late,
            calls.is_orphan[which],
            roots[which],
            failed[which],
            calls.durations_ns[which],
            calls.own_ns[which],
            np.maximum(waits, 0),
        )
        for column, values in enumerate(sums):
            np.add.at(self.edges.counts[:, column], places, values)
        sketches = self.edges.sketches
        np.add.at(sketches[:, 0], (places, cells_of(calls.durations_ns[which])), 1)
        np.add.at(sketches[:, 1], (places, cells_of(calls.own_ns[which])), 1)
        waited = waits >= 0
        np.add.at(sketches[:, 2], (places[waited], cells_of(waits[waited])), 1)
        self._add_origins(calls, which[begins])

    def add_lines(self, key: PatternKey, lines: int) -> None:
        """Adds lines of a pattern."""
        self.patterns[key] = self.patterns.get(key, 0) + lines

    def _add_origins(self, calls: Calls, which: NDArray[np.intp]) -> None:
        columns = (calls.operations, calls.peers, calls.reasons, calls.details)
        told: Any = zip(*(each[which].tolist() for each in columns), strict=True)
        for key in told:
            self.origins[key] = self.origins.get(key, 0) + 1


def _edge(key: list[int]) -> EdgeKey:
    caller, operation, peer, kind, connection = key
    return caller, operation, peer, kind, connection
