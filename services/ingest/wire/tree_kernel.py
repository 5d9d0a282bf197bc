"""The compiled loop that reads all levels of a body in one pass."""

from typing import Final

import numpy as np

from mesh.jit import BYTES, INT32_ROWS, INT64, INT64S, kernel
from services.ingest.wire.trees import LEAF, NUMBER, ODD, PART, RUN, TEXT
from services.ingest.wire.varints import take_field

OK: Final = 0
BROKEN: Final = 1

_DEEPEST: Final = 16


@kernel(INT64, BYTES, INT32_ROWS, INT64S, INT64S, INT64S, INT64S, INT64S, makes_arrays=True)
def walk(body, actions, widths, bases, rooms, counts, cells):  # type: ignore[no-untyped-def]
    """Writes a row of cells for each message of a kind.

    Args:
        body: The message of kind 0, whose row it begins with.
        actions: Of each kind and tag below 256 what to do: 0 to skip it, or one of the names above
            and, eight times, the column or the kind that it is about. Kinds are nested less than
            16 deep.
        widths: Columns of each kind: row above, bits, start, end, tag, and its own.
        bases: Where its first row lies in `cells`.
        rooms: For how many rows there is room, and for one more that nobody reads.
        counts: Out: how many rows there are, also where there is less room.
        cells: Out: the rows. Bit n of the bits says that column n is there, bit 0 that the
            row is odd.

    Returns:
        OK or BROKEN.
    """
    kinds, ends, rows = (
        np.empty(_DEEPEST, np.int64),
        np.empty(_DEEPEST, np.int64),
        np.empty(_DEEPEST, np.int64),
    )
    depth, kind, row, at, end = 0, np.int64(0), np.int64(0), np.int64(0), np.int64(len(body))
    counts[0] = 1
    cell = bases[0]
    cells[cell : cell + widths[0]] = 0
    cells[cell + 3] = end
    while True:
        if at == end:
            if depth == 0:
                return 0
            depth -= 1
            kind, end, row = kinds[depth], ends[depth], rows[depth]
            cell = bases[kind] + row * widths[kind]
            continue
        begin = at
        tag, value, at = take_field(body, at, end)
        if at < 0:
            return 1
        if tag >= 256:
            continue
        action = actions[kind, tag]
        what, about = action & 7, np.int64(action >> 3)
        if what == NUMBER:
            cells[cell + about] = np.int64(value)
            cells[cell + 1] |= 1 << about
        elif what in (TEXT, RUN):
            is_first = cells[cell + 1] & (1 << about) == 0
            if is_first or what == TEXT:
                cells[cell + about] = np.int64(value) if what == TEXT else begin
            if not is_first and (what == TEXT or cells[cell + about + 1] != begin):
                cells[cell + 1] |= 1
            cells[cell + about + 1] = at
            cells[cell + 1] |= 1 << about
        elif what in (PART, LEAF):
            made = min(counts[about], rooms[about])
            counts[about] += 1
            new = bases[about] + made * widths[about]
            cells[new : new + widths[about]] = 0
            cells[new] = row
            cells[new + 2], cells[new + 3] = np.int64(value), at
            cells[new + 4] = tag
            if what == PART:
                kinds[depth], ends[depth], rows[depth] = kind, end, row
                depth += 1
                kind, row, cell = about, made, new
                at, end = np.int64(value), at
        elif what == ODD:
            cells[cell + 1] |= 1
