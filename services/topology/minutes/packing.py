"""A table as bytes: the same bytes for the same counts, so that a replay can be compared."""

from collections.abc import Sequence

import msgspec
import numpy as np

from services.topology.minutes.cells import Int64s
from services.topology.minutes.edges import COUNTS
from services.topology.minutes.table import MinuteTable
from services.topology.traces.shapes import OTHER_CALLS, OTHER_SHAPE, ShapeCalls


class Packed(msgspec.Struct, array_like=True):
    """A table as it is stored; numbers are little-endian, rows in ascending order."""

    keys: bytes
    counts: bytes
    places: bytes
    cells: bytes
    origins: list[tuple[int, int, int, int, int, int]]
    patterns: list[tuple[int, int, int, int]]
    firsts: list[tuple[int, int]]
    shapes: list[tuple[int, int, int]]
    shape_calls: list[tuple[int, ShapeCalls]]
    spans: int
    records: int
    lost: int
    behind: list[tuple[int, int, int]] = []


_DECODER = msgspec.msgpack.Decoder(Packed)
_ENCODER = msgspec.msgpack.Encoder()


def packed(table: MinuteTable) -> bytes:
    """For a store."""
    keys, counts, places, cells = table.edges.columns()
    return _ENCODER.encode(
        Packed(
            keys=keys.astype("<u8").tobytes(),
            counts=counts.astype("<i8").tobytes(),
            places=places.astype("<i8").tobytes(),
            cells=cells.astype("<i8").tobytes(),
            origins=[(*key, *counts) for key, counts in sorted(table.origins.items())],
            patterns=[(*key, lines) for key, lines in sorted(table.patterns.items())],
            firsts=sorted(table.firsts.items()),
            shapes=[(*key, answers) for key, answers in sorted(table.shapes.items())],
            shape_calls=sorted(table.shape_calls.items()),
            spans=table.spans,
            records=table.records,
            lost=table.lost,
            behind=[(*key, calls) for key, calls in sorted(table.behind.items())],
        )
    )


def unpacked(stored: bytes) -> MinuteTable:
    """As `packed` made it."""
    return merged([stored])


def merged(stored: Sequence[bytes]) -> MinuteTable:
    """Tables as one."""
    table, parts = MinuteTable(), [_DECODER.decode(each) for each in stored]
    _add_edges(table, parts)
    for part in parts:
        calls = dict(part.shape_calls)
        for *origin, errors, traces in part.origins:
            operation, peer, reason, detail = origin
            table.add_origin((operation, peer, reason, detail), errors, traces)
        for operation, pattern, severity, lines in part.patterns:
            table.add_lines((operation, pattern, severity), lines)
        for pattern, traces in part.firsts:
            table.add_first(pattern, traces)
        for operation, number, answers in part.shapes:
            known = OTHER_CALLS if number == OTHER_SHAPE else calls[number]  # once stored as none
            table.add_shape(operation, number, answers, known)
        for address, answering, answers in part.behind:
            table.add_behind((address, answering), answers)
        table.spans += part.spans
        table.records += part.records
        table.lost += part.lost
    return table


def _add_edges(table: MinuteTable, parts: Sequence[Packed]) -> None:
    """All at once: the rows of one part follow those of the part before."""
    keys = np.frombuffer(b"".join(each.keys for each in parts), "<u8").reshape(-1, 5)
    counts = np.frombuffer(b"".join(each.counts for each in parts), "<i8").reshape(-1, len(COUNTS))
    cells = np.frombuffer(b"".join(each.cells for each in parts), "<i8")
    places, before = list[Int64s](), 0
    for each in parts:
        places.append(table.edges.cells.shifted(np.frombuffer(each.places, "<i8"), before))
        before += len(each.keys) // (8 * keys.shape[1])
    table.edges.add_columns(keys, counts, np.concatenate([np.empty(0, np.int64), *places]), cells)
