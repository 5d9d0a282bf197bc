"""What was counted in one minute: edges, where errors began, shapes of calls, lines."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.topology.minutes.cells import DURATION, OWN, WAIT
from services.topology.minutes.edges import COUNTS, MANY, EdgeKey, Edges
from services.topology.minutes.sketch import cells_of
from services.topology.model.names import OTHER_ID
from services.topology.traces.settle import Calls
from services.topology.traces.shapes import (
    OTHER_CALLS,
    OTHER_SHAPE,
    ShapeCalls,
    Shapes,
    coarse,
)

OriginKey = tuple[int, int, int, int]
"""Operation, peer, reason, detail; see `Calls`."""
PatternKey = tuple[int, int, int]
"""Operation of the service as such, pattern, severity of OTLP; of a line with a pattern 0 and the
pattern, of one without the operation and 0."""
ShapeKey = tuple[int, int]
"""Operation, number of the shape."""

WEIGHT_UNIT: Final = 1024
MOST_SHAPES: Final = 16
MANY_ORIGINS: Final = 2000
"""Of an operation; the calls of others are counted as one."""

__all__ = ["COUNTS", "EdgeKey", "MinuteTable", "OriginKey", "PatternKey", "ShapeKey"]


@dataclass(slots=True)
class MinuteTable:
    """All that was counted. Sums of integers: the order of calls does not matter.

    Attributes:
        origins: How many errors began there, and in how many traces.
        patterns: Lines.
        firsts: By pattern the failing traces in which its service wrote the first error.
        shapes: Good answers.
        shape_calls: What the numbers of shapes stand for.
        shape_counts: Shapes by operation.
        behind: By address and operation the calls of that address that the operation answered.
        spans: All of them, also those that are no call.
        records: Log records that came one by one.
        lost: Events that came too late to be counted anywhere.
    """

    edges: Edges = field(default_factory=Edges)
    origins: dict[OriginKey, tuple[int, int]] = field(default_factory=dict)
    patterns: dict[PatternKey, int] = field(default_factory=dict)
    firsts: dict[int, int] = field(default_factory=dict)
    shapes: dict[ShapeKey, int] = field(default_factory=dict)
    shape_calls: dict[int, ShapeCalls] = field(default_factory=dict)
    shape_counts: dict[int, int] = field(default_factory=dict)
    behind: dict[tuple[int, int], int] = field(default_factory=dict)
    spans: int = 0
    records: int = 0
    lost: int = 0

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
        cells = self.edges.cells
        cells.add(places, DURATION, cells_of(calls.durations_ns[which]))
        cells.add(places, OWN, cells_of(calls.own_ns[which]))
        waited = waits >= 0
        cells.add(places[waited], WAIT, cells_of(waits[waited]))
        self._add_origins(calls, which[begins])

    def add_shapes(self, shapes: Shapes, which: NDArray[np.intp]) -> None:
        """Adds good answers by what they called."""
        pairs = np.stack([shapes.operations[which], shapes.numbers[which]], axis=1)
        known, counts = np.unique(pairs, axis=0, return_counts=True)
        for (operation, number), answers in zip(known.tolist(), counts.tolist(), strict=True):
            self.add_shape(operation, number, answers, shapes.calls[number])

    def add_shape(self, operation: int, number: int, answers: int, calls: ShapeCalls) -> None:
        """Adds answers of one shape; where there are shapes enough, of a coarse one or the rest."""
        if not self._has_room(operation, number, MOST_SHAPES):
            number, calls = coarse(calls)
            if not self._has_room(operation, number, 2 * MOST_SHAPES):
                number, calls = OTHER_SHAPE, OTHER_CALLS
        key = (operation, number)
        if key not in self.shapes:
            self.shape_counts[operation] = self.shape_counts.get(operation, 0) + 1
        self.shapes[key] = self.shapes.get(key, 0) + answers
        self.shape_calls[number] = calls

    def _has_room(self, operation: int, number: int, most: int) -> bool:
        known = self.shape_counts.get(operation, 0)
        full = known >= most or (known > 0 and len(self.shapes) >= MANY)
        return (operation, number) in self.shapes or not full

    def add_answers(self, addresses: NDArray[np.uint32], operations: NDArray[np.uint64]) -> None:
        """Adds calls of addresses that operations answered."""
        pairs = np.stack([addresses.astype(np.uint64), operations], axis=1)
        known, counts = np.unique(pairs, axis=0, return_counts=True)
        for (address, operation), calls in zip(known.tolist(), counts.tolist(), strict=True):
            self.add_behind((address, operation), calls)

    def add_behind(self, key: tuple[int, int], calls: int) -> None:
        """Adds calls of an address that an operation answered; beyond limits nobody knows."""
        if key in self.behind or len(self.behind) < MANY:
            self.behind[key] = self.behind.get(key, 0) + calls

    def add_lines(self, key: PatternKey, lines: int) -> None:
        """Adds lines of a pattern."""
        self.patterns[key] = self.patterns.get(key, 0) + lines

    def add_first(self, pattern: int, traces: int) -> None:
        """Adds failing traces in which the first error had this pattern."""
        self.firsts[pattern] = self.firsts.get(pattern, 0) + traces

    def add_origin(self, key: OriginKey, errors: int, traces: int) -> None:
        """Adds errors that began in one place; beyond limits details are left out."""
        operation, peer, reason, _ = key
        if key not in self.origins and len(self.origins) >= MANY_ORIGINS:
            key = (operation, OTHER_ID if peer else 0, reason, 0)
            if key not in self.origins and len(self.origins) >= 2 * MANY_ORIGINS:
                key = (OTHER_ID, 0, reason, 0)
        before = self.origins.get(key, (0, 0))
        self.origins[key] = (before[0] + errors, before[1] + traces)

    def _add_origins(self, calls: Calls, which: NDArray[np.intp]) -> None:
        columns = (calls.operations, calls.peers, calls.reasons, calls.details)
        begun: Any = zip(*(each[which].tolist() for each in columns), strict=True)
        seen = set[Any]()
        for key, trace in zip(begun, calls.traces[which].tolist(), strict=True):
            self.add_origin(key, 1, (key, trace) not in seen)
            seen.add((key, trace))
